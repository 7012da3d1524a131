package logfmt_test

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/logfmt"
)

// A Writer is a listener for the events of a server.
func ExampleWriter() {
	log := logfmt.NewWriter(os.Stdout, &logfmt.Options{Host: "mx", PID: 4404, Location: time.UTC})
	defer log.Close()
	var listen mtakit.Listener = log.Event

	at := time.Date(2026, 11, 22, 8, 13, 18, 0, time.UTC)
	listen(mtakit.Event{Time: at, Kind: mtakit.EventAccept, ID: "6AM8DHw1004404", From: mtakit.Address{Local: "jane", Domain: "example.com"},
		Size: 51, NRcpts: 1, MsgID: "<1@example.com>", Proto: "ESMTP", Daemon: "MTA", Client: "client.example.com [192.0.2.55]"})
	listen(mtakit.Event{Time: at, Kind: mtakit.EventDeliver, ID: "6AM8DHw1004404", To: []string{"<ann@example.org>"}, Mailer: "local",
		Delay: time.Second, XDelay: time.Second, Priority: 30367, Status: mtakit.StatusSuccess})
	// Output:
	// Nov 22 08:13:18 mx sendmail[4404]: 6AM8DHw1004404: from=<jane@example.com>, size=51, class=0, nrcpts=1, msgid=<1@example.com>, proto=ESMTP, daemon=MTA, relay=client.example.com [192.0.2.55]
	// Nov 22 08:13:18 mx sendmail[4404]: 6AM8DHw1004404: to=<ann@example.org>, delay=00:00:01, xdelay=00:00:01, mailer=local, pri=30367, dsn=2.0.0, stat=Sent
}

func ExampleParse() {
	text := `Nov 22 08:13:25 mx sendmail[4409]: 6AM8DHVJ004409: to=alice, ctladdr=bob@example.org (2002/2000), delay=00:00:08, xdelay=00:00:08, mailer=local, pri=30054, dsn=2.0.0, stat=Sent
`
	for l, err := range logfmt.Parse(strings.NewReader(text), "maillog", nil) {
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(l.Pos, l.ID, l.Kind, l.To.To, l.To.Outcome(), "after", l.To.Delay, "for uid", l.To.UID)
	}
	// Output: maillog:1 6AM8DHVJ004409 to [alice] sent after 8s for uid 2002
}

func ExampleStitch() {
	lines := logfmt.Parse(strings.NewReader(story), "maillog", nil)
	for m, err := range logfmt.Stitch(lines, nil) {
		if err != nil || m.ID != "6AM8DVaa004701" {
			continue
		}
		for _, r := range m.Recipients {
			fmt.Println(r.Addr, r.Outcome, "after", r.Delay)
		}
	}
	// Output:
	// <b@x> sent after 1h0m1s
	// <a@x> sent after 1h0m1s
	// <c@y> failed after 1s
}
