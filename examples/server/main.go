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
	"sync"
	"syscall"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/examples/internal/mta"
)

func main() {
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
