// Server is mtakit's reference mail server: SMTP in, virtusertable, aliases, .forward and mailertable in sendmail's
// order, sendmail's queue, delivery to Maildirs, mboxes, files, programs and other hosts.
//
// Without flags it serves 127.0.0.1:2525, unprivileged, with everything below ./mtakit-data, which it creates. Run it
// with -h for the rest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/examples/internal/mta"
)

func main() {
	tune()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// tune makes the Go runtime fit for a program that waits for the disk most of the time. A goroutine that waits for an fsync keeps
// its share of GOMAXPROCS for a while: a few more keep the processors busy meanwhile. Collecting garbage of a few megabytes
// several times a second would cost more than the messages that made it. What the environment says goes before.
func tune() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + waiting)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

const (
	waiting   = 4 // goroutines
	gcPercent = 400
)

func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	cfg, err := mta.ParseArgs(args, errOut)
	if errors.Is(err, mta.ErrVersion) {
		fmt.Fprintln(out, mtakit.Version)
		return nil
	}
	if err != nil {
		return err
	}
	m, err := mta.Open(ctx, cfg)
	if err != nil {
		return err
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	reloading, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-hup:
				_ = m.Reload(reloading) // the log has it
			case <-reloading.Done():
				return
			}
		}
	})
	err = m.Serve(ctx, func(addr string) { m.Welcome(out, addr) })
	signal.Stop(hup)
	stop()
	wg.Wait() // a reload writes to the log that Close ends
	return errors.Join(err, m.Close())
}
