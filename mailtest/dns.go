package mailtest

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Behaviour is what a DNS server does instead of answering properly.
type Behaviour string

// The behaviours.
const (
	ServFail Behaviour = "SERVFAIL"
	Refused  Behaviour = "REFUSED"
	NotImp   Behaviour = "NOTIMP"
	FormErr  Behaviour = "FORMERR"
	NXDomain Behaviour = "NXDOMAIN" // as if the name did not exist
	Timeout  Behaviour = "TIMEOUT"  // no answer at all
	Truncate Behaviour = "TRUNCATE" // over UDP an empty answer with TC, over TCP the whole one
	Garbage  Behaviour = "GARBAGE"  // bytes that are no DNS message
	WrongID  Behaviour = "WRONGID"  // the answer to another question comes first, as from a forger
	NoEDNS   Behaviour = "NOEDNS"   // FORMERR to a question with EDNS
	Lazy     Behaviour = "LAZY"     // a CNAME is answered alone; the client must ask for its target
)

// DNS is a name server for tests. It answers for everything: what its zone does not have does not exist. It listens on
// UDP and TCP with the same port.
//
// A name exists if it or a name below it has a record. CNAMEs are followed within the answer. Negative answers carry
// the SOA record of the closest enclosing zone, if there is one. Answers that do not fit into 512 bytes, or what EDNS
// allows, are truncated over UDP. Wildcards are not expanded.
type DNS struct {
	Addr string // "127.0.0.1:40123"

	tb  testing.TB
	udp *dns.Server
	tcp *dns.Server

	mu        sync.Mutex
	records   map[string][]dns.RR // by lower-case owner name
	names     map[string]bool     // owner names and all their ancestors
	behaviour map[string]Behaviour
	secure    map[string]bool
	queries   []string
	counts    map[string]int
}

// NewDNS starts a name server with records in master file form (RFC 1035 section 5), "mx.example. 300 IN A 192.0.2.1";
// names without a final dot are absolute, too. It ends with the test.
func NewDNS(tb testing.TB, zone string) *DNS {
	tb.Helper()
	d := &DNS{tb: tb, behaviour: make(map[string]Behaviour), secure: make(map[string]bool), counts: make(map[string]int)}
	d.SetZone(zone)
	pc, l := listenBoth(tb)
	d.Addr = pc.LocalAddr().String()
	started := make(chan struct{}, 2)
	note := func() { started <- struct{}{} }
	d.udp = &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(d.serve), NotifyStartedFunc: note}
	d.tcp = &dns.Server{Listener: l, Handler: dns.HandlerFunc(d.serve), NotifyStartedFunc: note}
	var wg sync.WaitGroup
	for _, s := range [...]*dns.Server{d.udp, d.tcp} {
		wg.Add(1)
		go func() {
			defer wg.Done()
			s.ActivateAndServe()
		}()
	}
	<-started
	<-started
	tb.Cleanup(func() {
		d.udp.Shutdown()
		d.tcp.Shutdown()
		wg.Wait()
	})
	return d
}

// listenBoth finds a port that is free for UDP and TCP.
func listenBoth(tb testing.TB) (net.PacketConn, net.Listener) {
	tb.Helper()
	var last error
	for range 100 {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			tb.Fatalf("name server: %v", err)
		}
		l, err := net.Listen("tcp", pc.LocalAddr().String())
		if err == nil {
			return pc, l
		}
		last = err
		pc.Close()
	}
	tb.Fatalf("name server: no port is free for UDP and TCP: %v", last)
	return nil, nil
}

// SetZone replaces all records.
func (d *DNS) SetZone(zone string) {
	d.tb.Helper()
	records, err := parseZone(zone)
	if err != nil {
		d.tb.Fatalf("name server: %v", err)
	}
	names := map[string]bool{".": true}
	for name := range records {
		for i := 0; i < len(name) && !names[name[i:]]; {
			names[name[i:]] = true
			next, end := dns.NextLabel(name, i)
			if end {
				break
			}
			i = next
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records, d.names = records, names
}

func parseZone(zone string) (map[string][]dns.RR, error) {
	records := make(map[string][]dns.RR)
	zp := dns.NewZoneParser(strings.NewReader(zone), ".", "zone")
	zp.SetDefaultTTL(300)
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		name := dns.CanonicalName(rr.Header().Name)
		records[name] = append(records[name], rr)
	}
	return records, zp.Err()
}

// Behave sets what the server does with questions of one type, or of every type for "ANY" or "". No behaviour, "",
// makes it answer properly again.
func (d *DNS) Behave(name, qtype string, b Behaviour) {
	if qtype == "" {
		qtype = "ANY"
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.behaviour[dns.CanonicalName(name)+" "+strings.ToUpper(qtype)] = b
}

// Secure makes answers about name and everything below it carry the AD bit, as if a validating resolver had checked
// them. An answer that follows a CNAME has the bit only if every name on the way is secure.
func (d *DNS) Secure(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.secure[dns.CanonicalName(name)] = true
}

// Queries lists the questions so far, "example.com. MX", in order; those over TCP with " tcp" at the end.
func (d *DNS) Queries() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.queries...)
}

// Counts tells how often each question was asked, over UDP or TCP.
func (d *DNS) Counts() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.counts)
}

func (d *DNS) serve(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg)
	m.SetReply(q)
	m.RecursionAvailable = true
	if len(q.Question) != 1 {
		m.Rcode = dns.RcodeFormatError
		w.WriteMsg(m)
		return
	}
	_, tcp := w.RemoteAddr().(*net.TCPAddr)
	name, qtype := dns.CanonicalName(q.Question[0].Name), q.Question[0].Qtype
	switch b := d.note(name, qtype, tcp); {
	case b == Timeout:
		return
	case b == Garbage:
		w.Write([]byte("\x00\x01no DNS message"))
		return
	case b == Truncate && !tcp:
		m.Truncated = true
		w.WriteMsg(m)
		return
	case b == WrongID && !tcp:
		forged := m.Copy()
		forged.Id++
		forged.Rcode = dns.RcodeNameError
		w.WriteMsg(forged)
		d.answer(m, name, qtype)
	case b == NoEDNS && q.IsEdns0() != nil:
		m.Rcode = dns.RcodeFormatError
	case b == NXDomain:
		m.Rcode = dns.RcodeNameError
		d.mu.Lock()
		d.addSOA(m, name)
		d.mu.Unlock()
	case dns.StringToRcode[string(b)] != 0:
		m.Rcode = dns.StringToRcode[string(b)]
	default:
		d.answer(m, name, qtype)
		if b == Lazy && len(m.Answer) > 0 {
			m.Answer, m.Ns = m.Answer[:1], nil
		}
	}
	size := dns.MinMsgSize
	if opt := q.IsEdns0(); opt != nil && m.Rcode != dns.RcodeFormatError {
		size = max(size, int(opt.UDPSize()))
		m.SetEdns0(4096, false)
	}
	if !tcp {
		m.Truncate(size)
	}
	w.WriteMsg(m)
}

// note records a question and returns the behaviour that is set for it.
func (d *DNS) note(name string, qtype uint16, tcp bool) Behaviour {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := name + " " + dns.TypeToString[qtype]
	d.counts[key]++
	line := key
	if tcp {
		line += " tcp"
	}
	d.queries = append(d.queries, line)
	if b, ok := d.behaviour[key]; ok {
		return b
	}
	return d.behaviour[name+" ANY"]
}

// answer fills in what the zone says.
func (d *DNS) answer(m *dns.Msg, name string, qtype uint16) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m.AuthenticatedData = true
	for range 20 {
		m.AuthenticatedData = m.AuthenticatedData && d.isSecure(name)
		if !d.names[name] {
			m.Rcode = dns.RcodeNameError
			d.addSOA(m, name)
			return
		}
		var cname *dns.CNAME
		found := false
		for _, rr := range d.records[name] {
			if c, ok := rr.(*dns.CNAME); ok {
				cname = c
			}
			if rr.Header().Rrtype == qtype || qtype == dns.TypeANY {
				m.Answer = append(m.Answer, rr)
				found = true
			}
		}
		if found {
			return
		}
		if cname == nil {
			d.addSOA(m, name)
			return
		}
		m.Answer = append(m.Answer, cname)
		name = dns.CanonicalName(cname.Target)
		if b := d.behaviour[name+" "+dns.TypeToString[qtype]]; b == ServFail || d.behaviour[name+" ANY"] == ServFail {
			m.Answer, m.Rcode, m.AuthenticatedData = nil, dns.RcodeServerFailure, false
			return
		}
	}
}

func (d *DNS) isSecure(name string) bool {
	if len(d.secure) == 0 {
		return false
	}
	for i, end := 0, false; !end; i, end = dns.NextLabel(name, i) {
		if d.secure[name[i:]] {
			return true
		}
	}
	return d.secure["."]
}

// addSOA puts the SOA record of the closest zone above name into a negative answer.
func (d *DNS) addSOA(m *dns.Msg, name string) {
	for i, end := 0, false; !end; i, end = dns.NextLabel(name, i) {
		for _, rr := range d.records[name[i:]] {
			if soa, ok := rr.(*dns.SOA); ok {
				m.Ns = append(m.Ns, soa)
				return
			}
		}
	}
}

// ServeStream answers questions that come in on a connection in the framing of DNS over TCP, until it ends: for clients
// that reach the server over a Network or a pipe.
func (d *DNS) ServeStream(c net.Conn) error {
	conn := &dns.Conn{Conn: c}
	for {
		q, err := conn.ReadMsg()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("name server: %w", err)
		}
		d.serve(streamWriter{conn}, q)
	}
}

// streamWriter answers on a stream.
type streamWriter struct{ *dns.Conn }

func (w streamWriter) RemoteAddr() net.Addr      { return &net.TCPAddr{} }
func (streamWriter) TsigStatus() error           { return nil }
func (streamWriter) TsigTimersOnly(bool)         {}
func (streamWriter) Hijack()                     {}
func (w streamWriter) WriteMsg(m *dns.Msg) error { return w.Conn.WriteMsg(m) }

// DNSTimeout is a time-out for DNS clients under test that keeps cases with the behaviour Timeout quick and still
// leaves a busy machine time to answer.
const DNSTimeout = time.Second
