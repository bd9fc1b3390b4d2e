// Command interop speaks ttrpc by containerd's own implementation, to be tried against the one in TypeScript.
package main

import (
	"fmt"
	"os"
	"strconv"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "server":
		return serve(args[1])
	case len(args) == 2 && args[0] == "client":
		return scenario(args[1])
	case len(args) == 4 && args[0] == "bench":
		concurrency, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		calls, err := strconv.Atoi(args[3])
		if err != nil {
			return err
		}
		return bench(args[1], concurrency, calls)
	default:
		return fmt.Errorf("expected: server PATH | client PATH | bench PATH CONCURRENCY CALLS, got %q", args)
	}
}
