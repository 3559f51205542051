// Command xsync measures golang.org/x/sync/singleflight in the workloads of this directory.
//
//	xsync call KEYS WARMUP_MILLIS SAMPLES MILLIS   prints "ns bytes" per call, a line a sample
//	xsync herd CALLERS MILLIS                      prints "leader half all" in ns, a line a release
package main

import (
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

func main() {
	switch os.Args[1] {
	case "call":
		call(number(2), number(3), number(4), number(5))
	case "herd":
		herd(number(2), number(3))
	default:
		panic("unknown workload " + os.Args[1])
	}
}

func number(arg int) int {
	n, err := strconv.Atoi(os.Args[arg])
	if err != nil {
		panic(err)
	}
	return n
}

func call(count, warmupMillis, samples, millis int) {
	keys := make([]string, count)
	for i := range keys {
		keys[i] = "customer-" + strconv.Itoa(i)
	}
	rand.New(rand.NewSource(int64(count))).Shuffle(count, func(i, j int) {
		keys[i], keys[j] = keys[j], keys[i]
	})
	var group singleflight.Group
	next := 0
	var value interface{} = "a value"
	work := func() (interface{}, error) { return value, nil }
	slice := func(millis int) (nanos, bytes float64) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		calls := 0
		for time.Since(start) < time.Duration(millis)*time.Millisecond {
			for i := 0; i < 1000; i++ {
				group.Do(keys[next], work)
				next++
				if next == count {
					next = 0
				}
			}
			calls += 1000
		}
		elapsed := time.Since(start)
		runtime.ReadMemStats(&after)
		return float64(elapsed.Nanoseconds()) / float64(calls),
			float64(after.TotalAlloc-before.TotalAlloc) / float64(calls)
	}
	slice(warmupMillis)
	for i := 0; i < samples; i++ {
		nanos, bytes := slice(millis)
		fmt.Println(nanos, bytes)
	}
}

func herd(callers, millis int) {
	end := time.Now().Add(time.Duration(millis) * time.Millisecond)
	for releases := 0; releases < 20 || time.Now().Before(end); {
		if release(callers) {
			releases++
		}
	}
}

// release prints the figures of one release and answers true, unless a caller came too late: this
// package does not tell who waits, so that they are given time.
func release(callers int) bool {
	var group singleflight.Group
	var executions, entered int32
	var ended time.Time
	working := make(chan struct{})
	gate := make(chan struct{})
	returned := make([]int64, callers)
	var all sync.WaitGroup
	all.Add(callers)
	member := func(i int) {
		atomic.AddInt32(&entered, 1)
		group.Do("the key", func() (interface{}, error) {
			if atomic.AddInt32(&executions, 1) == 1 {
				close(working)
				<-gate
				ended = time.Now()
			}
			return "a value", nil
		})
		returned[i] = int64(time.Since(ended))
		all.Done()
	}
	go member(0)
	<-working
	for i := 1; i < callers; i++ {
		go member(i)
	}
	for atomic.LoadInt32(&entered) < int32(callers) {
		runtime.Gosched()
	}
	time.Sleep(time.Millisecond + time.Duration(callers)*time.Microsecond)
	close(gate)
	all.Wait()
	if executions != 1 {
		return false
	}
	leader := returned[0]
	sort.Slice(returned, func(i, j int) bool { return returned[i] < returned[j] })
	fmt.Println(leader, returned[(callers-1)/2], returned[callers-1])
	return true
}
