package main

import (
	"fmt"
	"math/rand/v2"
	"net/smtp"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/mailtest"
)

// load is a set of clients that send numbered messages and remember which were accepted.
type load struct {
	addr atomic.Pointer[string]
	stop chan struct{}
	wg   sync.WaitGroup

	mu    sync.Mutex
	acked map[string][]string // message number to recipients
	sent  int
}

// Each kind of recipient takes another way through the server.
var destinations = [][]string{
	{"ann@example.test"},                     // straight into a mailbox
	{"team@example.test"},                    // an alias: two mailboxes
	{"far@sink.test"},                        // queued and relayed
	{"bob@example.test", "away@sink.test"},   // both
	{"carol@example.test", "team@sink.test"}, // both
}

// boxes says in which places a recipient's mail ends up.
var boxes = map[string][]string{
	"ann@example.test": {"ann"}, "bob@example.test": {"bob"}, "carol@example.test": {"carol"}, "team@example.test": {"ann", "bob"},
	"far@sink.test": {"sink"}, "away@sink.test": {"sink"}, "team@sink.test": {"sink"},
}

// client sends messages until it is stopped, over connections that break whenever the server is killed.
func (l *load) client(n int) {
	defer l.wg.Done()
	for seq := 0; ; {
		select {
		case <-l.stop:
			return
		default:
		}
		c, err := smtp.Dial(*l.addr.Load())
		if err != nil {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		for range 20 {
			seq++
			to := destinations[rand.IntN(len(destinations))]
			if err := l.send(c, fmt.Sprintf("%d-%d", n, seq), to); err != nil {
				break
			}
		}
		c.Close()
	}
}

// accepted is the number of messages that the server took so far.
func (l *load) accepted() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

func (l *load) send(c *smtp.Client, number string, to []string) error {
	if err := c.Mail("sender@client.test"); err != nil {
		return err
	}
	for _, r := range to {
		if err := c.Rcpt(r); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Subject: load\r\nX-Number: %s\r\n\r\n%1000s\r\n", number, "text")
	l.mu.Lock()
	l.sent++
	l.mu.Unlock()
	if err := w.Close(); err != nil {
		return err
	}
	l.mu.Lock()
	l.acked[number] = to
	l.mu.Unlock()
	return nil
}

var numberField = regexp.MustCompile(`(?m)^X-Number: (\S+)`)

// TestKill kills the server at random moments while clients send, and restarts it. Every message that got its 250 must be
// in every place that it was meant for, at least once. MTAKIT_KILLS sets the number of kills (default 8, or 4 with -short).
func TestKill(t *testing.T) {
	kills := 8
	if testing.Short() {
		kills = 4
	}
	if s := os.Getenv("MTAKIT_KILLS"); s != "" {
		var err error
		kills, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	sink := mailtest.NewServer(t)
	data := t.TempDir()
	start := func() *process {
		return startServer(t, data, "-relay", "sink.test="+sink.Addr, "-queue-interval", "1s")
	}
	l := &load{stop: make(chan struct{}), acked: map[string][]string{}}
	p := start()
	l.addr.Store(&p.addr)
	for n := range 8 {
		l.wg.Add(1)
		go l.client(n)
	}
	for range kills {
		before := l.accepted()
		mailtest.WaitFor(t, "a load", func() bool { return l.accepted() > before+10 })
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
		p.kill()
		p = start()
		l.addr.Store(&p.addr)
	}
	time.Sleep(200 * time.Millisecond)
	close(l.stop)
	l.wg.Wait()
	mailtest.WaitFor(t, "an empty queue", func() bool {
		left, err := filepath.Glob(filepath.Join(data, "queue", "qf*"))
		return err == nil && len(left) == 0
	})
	p.stop()

	copies := map[string]map[string]int{"sink": {}} // place, message number, copies
	for _, m := range sink.Messages() {
		for range m.Rcpts {
			copies["sink"][string(numberField.FindSubmatch(m.Data)[1])]++
		}
	}
	for _, user := range []string{"ann", "bob", "carol"} {
		copies[user] = map[string]int{}
		files, err := filepath.Glob(filepath.Join(data, "home", user, "Maildir/new/*"))
		require.NoError(t, err)
		for _, f := range files {
			text, err := os.ReadFile(f)
			require.NoError(t, err)
			number := numberField.FindSubmatch(text)
			require.NotNil(t, number, "%s has a partial message", f)
			copies[user][string(number[1])]++
		}
	}
	wanted, extra := 0, 0
	for number, to := range l.acked {
		for _, r := range to {
			for _, place := range boxes[r] {
				wanted++
				n := copies[place][number]
				if !assert.NotZero(t, n, "message %s for %s is lost from %s", number, r, place) {
					continue
				}
				extra += n - 1
			}
		}
	}
	t.Logf("%d kills: %d messages sent, %d accepted, %d deliveries wanted, 0 lost, %d duplicates", kills, l.sent, len(l.acked), wanted, extra)
}
