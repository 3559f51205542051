'use strict';

const POLL_MILLIS = 250;
const WINDOW_SECONDS = 60;
const FLIGHTS_SHOWN = 5;
const HERDS_SHOWN = 5;

const byId = id => document.getElementById(id);
const number = value => Math.round(value).toLocaleString('en-US');
const perQuery = (requests, queries) => (queries ? (requests / queries).toFixed(1) : '–');
const counted = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;
const time = millis => (millis < 1000 ? `${Math.round(millis)} ms` : `${(millis / 1000).toFixed(1)} s`);
const secondsAgo = seconds => (seconds < 1 ? 'now' : `−${Math.round(seconds)} s`);
const color = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/* Read by the page's test, too. */
const charts = {};
const results = [];
let last = null;

function chart(id, series, y, ticks) {
  const host = byId(id);
  const axis = { stroke: color('faint'), grid: { stroke: color('line'), width: 1 }, ticks: { show: false } };
  return new uPlot({
    width: host.clientWidth,
    height: host.clientHeight,
    padding: [10, 20, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { range: () => [Date.now() / 1000 - WINDOW_SECONDS, Date.now() / 1000] }, y },
    axes: [
      { ...axis, size: 30, values: (_, splits) => splits.map(at => secondsAgo(Date.now() / 1000 - at)),
        splits: () => [-60, -45, -30, -15, 0].map(ago => Date.now() / 1000 + ago) },
      { ...axis, size: 62, splits: ticks.splits, values: (_, splits) => splits.map(ticks.text), filter: (_, splits) => splits },
    ],
    series: [{}, ...series],
  }, [[], ...series.map(() => [])], host);
}

const decades = [1, 10, 100, 1000, 10000, 100000];
const upTo = max => decades.find(decade => decade >= max) ?? decades.at(-1);

function drawCharts() {
  Object.values(charts).forEach(old => old.destroy());
  const line = (name, width) => ({ stroke: color(name), width, points: { show: false } });
  const dots = (name, size) => ({ stroke: color(name), paths: () => null, points: { show: true, size, width: 0, fill: color(name) } });
  charts.rates = chart(
    'rates',
    [{ ...line('requests', 2.5), fill: `${color('requests')}22` }, line('queries', 2.5)],
    { distr: 4, asinh: 1, range: (_, min, max) => [0, upTo(Math.max(1000, max ?? 0))] },
    { splits: u => [0, ...decades].filter(at => at <= u.scales.y.max), text: number });
  charts.latency = chart(
    'latency',
    [dots('p99', 7), dots('p50', 4)],
    { distr: 3, range: (_, min, max) => [10, upTo(Math.max(10000, max ?? 0))] },
    { splits: u => decades.filter(at => at >= 10 && at <= u.scales.y.max), text: at => (at < 1000 ? `${at} ms` : `${at / 1000} s`) });
  if (last) {
    update(last);
  }
}

function rows(table, items, cells, none) {
  const body = table.tBodies[0];
  if (items.length === 0) {
    body.replaceChildren(none);
    return;
  }
  body.replaceChildren(...items.map(item => {
    const row = document.createElement('tr');
    for (const cell of cells(item)) {
      const [text, style] = [].concat(cell);
      row.append(document.createElement(row.cells.length === 0 ? 'th' : 'td'));
      row.lastChild.append(text);
      row.lastChild.className = style ?? '';
    }
    row.firstChild.scope = 'row';
    return row;
  }));
}

/* For those who hear the charts. */
function describeCharts(samples) {
  const now = samples.at(-1);
  const answered = samples.findLast(sample => sample.p99 !== null);
  byId('rates').ariaLabel = `Chart of the last minute. Now: ${number(now.requests)} requests answered`
    + ` and ${number(now.queries)} queries per second`;
  byId('latency').ariaLabel = 'Chart of the last minute. ' + (answered
    ? `Latest latencies: p99 ${time(answered.p99)}, p50 ${time(answered.p50)}` : 'No request was answered');
}

const noFlights = byId('flights').tBodies[0].rows[0];

function update(live) {
  last = live;
  byId('database').textContent = live.database;
  byId('answered').textContent = number(live.answered);
  byId('queries').textContent = number(live.queries);
  byId('ratio').textContent = perQuery(live.answered, live.queries);
  byId('waiting').textContent = number(live.waiting);
  const column = name => live.samples.map(sample => sample[name]);
  const at = column('at').map(millis => millis / 1000);
  charts.rates.setData([at, column('requests'), column('queries')]);
  charts.latency.setData([at, column('p99'), column('p50')]);
  describeCharts(live.samples);
  byId('shown').textContent = live.flights.length > FLIGHTS_SHOWN
    ? `the oldest ${FLIGHTS_SHOWN} of ${number(live.flights.length)}` : '';
  rows(byId('flights'), live.flights.slice(0, FLIGHTS_SHOWN),
    flight => [flight.key, time(flight.ageMillis), number(flight.callers), flight.leader], noFlights);
}

async function poll() {
  try {
    update(await (await fetch('live')).json());
    say(byId('message').classList.contains('lost') ? '' : null);
  } catch (failure) {
    say(`The service does not answer: ${failure.message}`, 'error lost');
  }
  setTimeout(poll, POLL_MILLIS);
}

function say(text, style = '') {
  if (text !== null) {
    byId('message').textContent = text;
    byId('message').className = style;
  }
}

/* A button that is disabled loses the keyboard's focus; this one keeps it. */
const underWay = () => byId('send').ariaDisabled === 'true';

async function sendHerd(event) {
  event.preventDefault();
  if (underWay()) {
    return;
  }
  const sharing = byId('sharing').checked;
  const query = new URLSearchParams({ requests: byId('size').value, names: byId('names').value });
  if (!sharing) {
    query.set('share', 'no');
  }
  byId('send').ariaDisabled = 'true';
  say(`${counted(Number(byId('size').value), 'request is', 'requests are')} on the way…`);
  try {
    const response = await fetch(`herd?${query}`, { method: 'POST' });
    const herd = await response.json();
    if (!response.ok) {
      throw new Error(herd.error);
    }
    results.unshift(herd);
    rows(byId('herds'), results.slice(0, HERDS_SHOWN), result => [
      counted(result.names, 'customer', 'customers'),
      result.sharing ? ['on', 'on'] : ['off', 'off'],
      number(result.requests), number(result.queries), perQuery(result.requests, result.queries),
      time(result.p50Millis), time(result.p99Millis),
    ]);
    if (herd.failures) {
      throw new Error(`${number(herd.failures)} requests failed`);
    }
    say(`${number(herd.requests)} requests took ${counted(herd.queries, 'query', 'queries')}.`);
  } catch (failure) {
    say(failure.message, 'error');
  } finally {
    byId('send').ariaDisabled = 'false';
  }
}

byId('herd').addEventListener('submit', sendHerd);
byId('sharing').addEventListener('change', event => {
  byId('sharing-state').textContent = event.target.checked ? 'on' : 'off';
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawCharts);
addEventListener('resize', drawCharts);
drawCharts();
poll();
