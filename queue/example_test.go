package queue_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/queue"
)

// A message is accepted, tried at once, deferred, and delivered by a later attempt.
func Example() {
	path, _ := os.MkdirTemp("", "queue")
	defer os.RemoveAll(path)
	dir, err := queue.Open(path, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	tries := 0
	delivered := make(chan string, 1)
	mailer := mtakit.MailerFunc(func(ctx context.Context, a *mtakit.Attempt) []mtakit.Result {
		if tries++; tries == 1 {
			return []mtakit.Result{{Err: &mtakit.Error{Code: 451, Status: mtakit.StatusNotAuthorized.AsTemporary(), Text: "Greylisted"}}}
		}
		r, _ := a.Open(ctx)
		defer r.Close()
		text, _ := io.ReadAll(r)
		delivered <- a.Rcpts[0].Addr.Path() + "\n" + string(text)
		return []mtakit.Result{{}}
	})
	runner := queue.NewRunner(queue.Options{
		Store:   dir,
		Mailers: map[string]mtakit.Mailer{mtakit.MailerESMTP: mailer},
		Resolve: func(_ context.Context, _ *queue.Unit, r queue.Recipient) ([]queue.Target, error) {
			addr := r.Address()
			return []queue.Target{{Addr: addr, Route: mtakit.Route{Mailer: mtakit.MailerESMTP, Host: addr.Domain}}}, nil
		},
		Retry: func(*queue.Unit) time.Duration { return 10 * time.Millisecond },
		Listener: func(e mtakit.Event) {
			if e.Kind != mtakit.EventDone {
				fmt.Println(e.To, e.Stat)
			}
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error)
	go func() { done <- runner.Run(ctx) }()

	draft, err := dir.Create(ctx, &queue.Envelope{
		Sender: "<ann@example.org>",
		Header: []byte("Subject: hello\n"),
		Units:  []queue.UnitSpec{{Rcpts: []queue.Recipient{{Addr: "<bob@example.net>", Flags: queue.RcptPrimary | queue.RcptFailure}}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	io.WriteString(draft, "How are you?\n")
	claims, err := draft.CommitClaimed(ctx) // from here on it survives a power failure
	if err != nil {
		fmt.Println(err)
		return
	}
	runner.Submit(claims...)
	text := <-delivered
	cancel()
	<-done
	fmt.Print(text)
	// Output:
	// [<bob@example.net>] Deferred: Greylisted
	// [<bob@example.net>] Sent
	// <bob@example.net>
	// Subject: hello
	//
	// How are you?
}

// A whole message, as it comes from a client, is divided while it is written.
func ExampleHeaderSplitter() {
	var body strings.Builder
	s := &queue.HeaderSplitter{Body: &body}
	io.WriteString(s, "Subject: hello\n  world\nTo: bob@example.net\n\nHow are you?\n")
	s.Close()
	fmt.Printf("%q\n%q\n", s.Header(), body.String())
	// Output:
	// "Subject: hello\n  world\nTo: bob@example.net\n"
	// "How are you?\n"
}

// The default retry policy is a pure function.
func ExampleBackoff() {
	b := queue.Backoff{First: 5 * time.Minute, Max: time.Hour, Jitter: -1}
	for attempts := 1; attempts <= 6; attempts++ {
		fmt.Println(attempts, b.Delay("6AM8LI8M004138", attempts))
	}
	// Output:
	// 1 5m0s
	// 2 10m0s
	// 3 20m0s
	// 4 40m0s
	// 5 1h0m0s
	// 6 1h0m0s
}
