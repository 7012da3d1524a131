package mta

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
)

// Welcome tells a person at a terminal where things are and what to try next.
func (m *MTA) Welcome(out io.Writer, addr string) {
	c := &m.cfg
	fmt.Fprintf(out, "SMTP on %s as %s\n", addr, c.Hostname)
	if m.fresh {
		fmt.Fprintf(out, "made %s with sample tables\n", c.Data)
	}
	domain := sampleDomain
	if len(c.Domains) > 0 {
		domain = c.Domains[0]
	}
	fmt.Fprintf(out, `
  tables     %s
  mailboxes  %s
  queue      %s
  log        %s
  counters   %s
`, c.Etc, c.Mailbox, c.QueueDir, c.Log, filepath.Join(c.Data, "statistics"))
	if !c.sampleDir {
		return
	}
	_, port, _ := net.SplitHostPort(addr)
	fmt.Fprintf(out, `
Try, in another terminal:

  swaks --server %[1]s --from you@client.example --to ann@%[2]s
  swaks --server %[1]s --from you@client.example --to team@%[2]s      an alias
  swaks --server %[1]s --from you@client.example --to info@%[2]s      a virtual user
  go run ./examples/sendmail -bv team info@%[2]s                       where would it go?
  go run ./examples/explain ann@%[2]s                                  and why?
  go run ./examples/mailq

  curl works, too: curl --crlf smtp://127.0.0.1:%[3]s --mail-from you@client.example --mail-rcpt ann@%[2]s -T README.md

Ctrl-C ends the server.
`, addr, domain, port)
}
