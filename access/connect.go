package access

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/mtakit/mtakit"
)

// Connect decides whether a client may talk to us. A refusal does not change the greeting: it is the reply to MAIL and
// every later command, except for code 421, which is sent instead of the greeting and closes the connection. Under
// DelayChecks the answer is Accept, but for rates under ControlNow, and To asks the question again.
// sendmail: check_relay.
func (p *Policy) Connect(ctx context.Context, c Client) Decision {
	e := &eval{p: p, ctx: ctx, c: &c}
	if p.DelayChecks == CheckAtOnce {
		o := e.checkRelay()
		if o.kind == hold {
			// sendmail sets the reason before there is a message to hold, and it is lost.
			o = outcome{reason: "quarantine has no effect at the connection"}
		}
		return e.decision(o)
	}
	if p.ControlNow {
		return e.decision(e.control())
	}
	return Decision{}
}

// checkRelay runs the checks of a client.
func (e *eval) checkRelay() outcome {
	if e.p.Access != nil {
		o := e.checkClientEntries()
		if o.decided() {
			return o
		}
	}
	if !e.p.ControlNow {
		if o := e.control(); o.decided() {
			return o
		}
	}
	if e.p.RequireRDNS {
		return e.requireRDNS()
	}
	return outcome{}
}

// checkClientEntries looks for the client's name first and, when that yields nothing, for its address.
func (e *eval) checkClientEntries() outcome {
	name := e.c.name()
	if e.p.UseClientPTR && e.c.PTR != "" {
		name = e.c.PTR
	}
	var (
		r   Result
		ok  bool
		err error
	)
	if name != "" {
		r, ok, err = e.domain("Connect", Both, name)
	}
	if !ok && err == nil {
		r, ok, err = e.network("Connect", Both, e.c.addr())
	}
	switch {
	case err != nil:
		return e.cannotTell(err)
	case !ok:
		return outcome{}
	case r.Value.Kind == KindOK || r.Value.Kind == KindRelay:
		return outcome{kind: relay, reason: "entry " + r.Step.Key}
	}
	text, dsn := e.p.reject()
	return e.apply(r, text, dsn)
}

// control applies the limits of connections per minute and of open connections.
func (e *eval) control() outcome {
	if e.p.RateControl {
		if o := e.limit("ClientRate", e.c.Rate, "Connection rate limit exceeded."); o.decided() {
			return o
		}
	}
	if e.p.ConnControl {
		return e.limit("ClientConn", e.c.Open, "Too many open connections.")
	}
	return outcome{}
}

func (e *eval) limit(tag string, n int, text string) outcome {
	r, ok, err := e.network(tag, Tagged, e.c.addr())
	if !ok && err == nil {
		r, ok, err = e.exact(tag, Tagged, "")
	}
	if err != nil {
		return e.cannotTell(err)
	}
	max, bad := strconv.Atoi(r.Text)
	if !ok || bad != nil || max == 0 || n <= max {
		return outcome{}
	}
	code := "452 "
	if e.p.ControlClose {
		code = "421 "
	}
	return e.refuse(code+text, "4.3.2", fmt.Sprintf("entry %s: %d exceeds %d", r.Step.Key, n, max))
}

func (e *eval) requireRDNS() outcome {
	addr := e.c.addr()
	if e.p.relayNetwork(addr) {
		return outcome{}
	}
	const why = "require_rdns"
	switch e.c.Verified {
	case NameFail:
		return e.refuse("550 Fix reverse DNS for "+addr, "5.7.1", why)
	case NameTemp:
		return e.refuse("451 Client IP address "+addr+" does not resolve", "4.1.8", why)
	case NameForged:
		return e.refuse("451 Possibly forged hostname for "+addr, "4.1.8", why)
	}
	return outcome{}
}

// GreetPauseFor answers how long the greeting to c waits: the GreetPause: entry of its name, else of its address, in
// milliseconds, else p.GreetPause. An entry that is no number, and a table that cannot tell, mean no pause.
// sendmail: FEATURE(greet_pause).
func (p *Policy) GreetPauseFor(ctx context.Context, c Client) (time.Duration, []mtakit.Step) {
	e := &eval{p: p, ctx: ctx, c: &c}
	r, ok, err := e.domain("GreetPause", Tagged, c.name())
	if !ok && err == nil {
		r, ok, err = e.network("GreetPause", Tagged, c.addr())
	}
	if err != nil {
		return 0, e.steps
	}
	if !ok {
		return p.GreetPause, e.steps
	}
	ms, bad := strconv.ParseUint(r.Text, 10, 31)
	if bad != nil {
		return 0, e.steps
	}
	return time.Duration(ms) * time.Millisecond, e.steps
}
