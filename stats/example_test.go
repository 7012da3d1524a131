package stats_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/stats"
)

// A server's events are counted in memory; Run, or here Flush, brings them into the file.
func ExampleCollector() {
	dir, err := os.MkdirTemp("", "stats")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "sendmail.st")

	c := stats.New(name, &stats.Options{Create: true})
	var listen mtakit.Listener = c.Event
	listen(mtakit.Event{Kind: mtakit.EventAccept, FromMailer: "esmtp", Size: 1200})
	listen(mtakit.Event{Kind: mtakit.EventDeliver, Mailer: "local", To: []string{"<ann@example.org>"}, Size: 1200})
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // the server ends
	if err := c.Run(ctx); err != nil {
		fmt.Println(err)
	}

	f, err := os.Open(name)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	n, err := stats.Parse(f, name)
	if err != nil {
		fmt.Println(err)
		return
	}
	n.Since = time.Unix(1_795_335_256, 0)
	n.List(os.Stdout, &stats.ListOptions{Names: []string{3: "local", 5: "esmtp"}, Location: time.UTC})
	// Output:
	// Statistics from Sun Nov 22 08:14:16 2026
	//  M   msgsfr  bytes_from   msgsto    bytes_to  msgsrej msgsdis msgsqur  Mailer
	//  3        0          0K        1          2K        0       0       0  local
	//  5        1          2K        0          0K        0       0       0  esmtp
	// =====================================================================
	//  T        1          2K        1          2K        0       0       0
	//  C        0                    0                    0
}
