create table orders as
select x as id, 'customer-' || mod(x, 20) as customer, mod(x * 7919, 1000) as amount
from system_range(1, 300000);
