package main

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"sort"
	"sync"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// bench measures unary calls over one connection and prints their figures as one JSON object.
func bench(path string, concurrency, calls int) error {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return err
	}
	client := ttrpc.NewClient(conn)
	times := make([]time.Duration, calls)
	var group sync.WaitGroup
	begin := time.Now()
	for worker := 0; worker < concurrency; worker++ {
		group.Add(1)
		go func(worker int) {
			defer group.Done()
			request, response := wrapperspb.String("ping"), &wrapperspb.StringValue{}
			for i := worker; i < calls; i += concurrency {
				start := time.Now()
				if err := client.Call(context.Background(), serviceName, "Echo", request, response); err != nil {
					panic(err)
				}
				times[i] = time.Since(start)
			}
		}(worker)
	}
	group.Wait()
	wall := time.Since(begin)
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	micros := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
	return json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"p50Us": micros(times[calls/2]), "p99Us": micros(times[calls*99/100]), "callsPerSecond": float64(calls) / wall.Seconds(),
	})
}
