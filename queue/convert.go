package queue

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/queue/qf"
)

// holdPrefix marks the quarantine reasons of State Held.
const holdPrefix = "hold"

// newFile makes the control file of one unit of a new message.
func newFile(env *Envelope, spec *UnitSpec, hs []qf.Header) *qf.File {
	f := &qf.File{
		Version:    qf.Version,
		Created:    env.Created.Unix(),
		Priority:   env.Priority,
		Body:       env.BodyType,
		Quarantine: env.Quarantine,
		Message:    env.Status,
		Flags:      formatFlags(uint16(env.Flags), flagLetters),
		Sender:     env.Sender,
		HasSender:  true,
		EnvID:      qf.EncodeXtext(env.EnvID),
		Auth:       qf.EncodeXtext(env.Auth),
	}
	if spec.Sender != "" {
		f.Sender = spec.Sender
	}
	if f.Sender == "" {
		f.Sender = "<>"
	}
	if env.DeliverBy.Mode != 0 {
		f.DeliverBy = &qf.DeliverBy{Mode: env.DeliverBy.Mode, Seconds: int64(env.DeliverBy.After / time.Second)}
	}
	for _, m := range env.Macros {
		f.Macros = append(f.Macros, qf.Macro(m))
	}
	slices.SortStableFunc(f.Macros, func(a, b qf.Macro) int { return qf.MacroOrder(a.Name) - qf.MacroOrder(b.Name) })
	f.Rcpts = toRcpts(spec.Rcpts, true)
	f.Headers = hs
	return f
}

// toRcpts makes R lines; final fills in a missing Final-Recipient.
func toRcpts(rs []Recipient, final bool) []qf.Recipient {
	out := make([]qf.Recipient, len(rs))
	for i, r := range rs {
		q := qf.Recipient{Message: r.Status, Final: r.Final, Addr: r.Addr, Flags: formatFlags(uint16(r.Flags), rcptLetters)}
		if r.xtext != "" && qf.DecodeXtext(r.xtext) == r.Original {
			q.Orcpt = r.xtext
		} else {
			q.Orcpt = encodeOrcpt(r.Original)
		}
		if r.Control != (mtakit.Control{}) {
			q.Control = &qf.Control{User: r.Control.User, UID: r.Control.UID, GID: r.Control.GID, Addr: r.Control.Origin}
		}
		if a := r.Address(); final && q.Final == "" && a.Domain != "" {
			q.Final = "RFC822; " + a.String()
		}
		out[i] = q
	}
	return out
}

// encodeOrcpt encodes the address after the type; the semicolon between them stays (RFC 3461 section 4.2).
func encodeOrcpt(s string) string {
	typ, addr, ok := strings.Cut(s, ";")
	if !ok {
		return qf.EncodeXtext(s)
	}
	return typ + ";" + qf.EncodeXtext(addr)
}

// fromRcpts is the inverse of toRcpts.
func fromRcpts(qs []qf.Recipient) []Recipient {
	out := make([]Recipient, len(qs))
	for i, q := range qs {
		r := Recipient{Addr: q.Addr, Flags: RcptFlags(parseFlags(q.Flags, rcptLetters)), Original: qf.DecodeXtext(q.Orcpt),
			Final: q.Final, Status: q.Message, xtext: q.Orcpt}
		if c := q.Control; c != nil {
			r.Control = mtakit.Control{User: c.User, UID: c.UID, GID: c.GID, Origin: c.Addr, Alias: r.Flags&RcptAlias != 0}
		}
		out[i] = r
	}
	return out
}

// newUnit is the meaning of a control file. header is what mailers get.
func newUnit(id ID, f *qf.File, header []byte, bodySize int64) *Unit {
	u := &Unit{
		Envelope: Envelope{
			ID: id, Sender: f.Sender, Header: header, Created: time.Unix(f.Created, 0), Priority: f.Priority,
			Flags: Flags(parseFlags(f.Flags, flagLetters)), BodyType: f.Body,
			EnvID: qf.DecodeXtext(f.EnvID), Auth: qf.DecodeXtext(f.Auth),
			Status: f.Message, Quarantine: f.Quarantine,
		},
		Rcpts:    fromRcpts(f.Rcpts),
		Attempts: f.Attempts,
		BodySize: bodySize,
	}
	u.SMTPUTF8 = u.Flags&FlagUTF8 != 0
	if f.LastAttempt != 0 {
		u.LastAttempt = time.Unix(f.LastAttempt, 0)
	}
	if f.DeliverBy != nil {
		u.DeliverBy = DeliverBy{Mode: f.DeliverBy.Mode, After: time.Duration(f.DeliverBy.Seconds) * time.Second}
	}
	for _, m := range f.Macros {
		u.Macros = append(u.Macros, Macro(m))
	}
	if len(u.Rcpts) > 0 {
		u.Dest = DestKey(u.Rcpts[0])
	}
	switch {
	case strings.HasPrefix(f.Quarantine, holdPrefix):
		u.State = Held
	case f.Quarantine != "":
		u.State = Quarantined
	case f.Attempts > 0:
		u.State = Deferred
	}
	return u
}

// apply puts into f what a claim may change of a unit.
func (u *Unit) apply(f *qf.File) *qf.File {
	g := *f
	g.Version = qf.Version
	g.Rcpts = toRcpts(u.Rcpts, false)
	g.Message = u.Status
	g.Flags = formatFlags(uint16(u.Flags), flagLetters)
	g.Attempts = u.Attempts
	g.Priority = u.Priority
	g.Quarantine = u.Quarantine
	g.LastAttempt = 0
	if !u.LastAttempt.IsZero() {
		g.LastAttempt = u.LastAttempt.Unix()
	}
	return &g
}

// clone copies what Update's function may change.
func (u *Unit) clone() *Unit {
	c := *u
	c.Rcpts = slices.Clone(u.Rcpts)
	c.Macros = slices.Clone(u.Macros)
	return &c
}

func formatFlags(bits uint16, letters string) string {
	var b [16]byte
	s := b[:0]
	for i := 0; i < len(letters); i++ {
		if bits&(1<<i) != 0 {
			s = append(s, letters[i])
		}
	}
	return string(s)
}

func parseFlags(s, letters string) (bits uint16) {
	for i := 0; i < len(s); i++ {
		if n := strings.IndexByte(letters, s[i]); n >= 0 {
			bits |= 1 << n
		}
	}
	return bits
}

// prepare completes and checks an envelope at the commit. size is that of the body.
func (e *Envelope) prepare(size int64, has8Bit bool) ([]qf.Header, error) {
	if len(e.Units) == 0 {
		return nil, fmt.Errorf("%s: no recipients", e.ID)
	}
	n := 0
	for i := range e.Units {
		u := &e.Units[i]
		if len(u.Rcpts) == 0 {
			return nil, fmt.Errorf("%s: unit %d has no recipients", e.ID, i)
		}
		for _, r := range u.Rcpts {
			if r.Addr == "" || strings.ContainsAny(r.Addr, "\r\n\x00") {
				return nil, fmt.Errorf("%s: recipient address %q cannot be queued", e.ID, r.Addr)
			}
		}
		n += len(u.Rcpts)
		if u.Dest == "" {
			u.Dest = DestKey(u.Rcpts[0])
		}
	}
	hs, err := parseHeader(e.Header)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.ID, err)
	}
	if e.Created.IsZero() {
		e.Created = time.Now()
	}
	if e.Priority == 0 {
		e.Priority = Priority(int64(len(e.Header))+size, e.Class, n)
	}
	e.Flags |= FlagSplit
	if has8Bit {
		e.Flags |= Flag8Bit
	}
	if e.SMTPUTF8 {
		e.Flags |= FlagUTF8
	}
	if hasRecipientField(hs) {
		e.Flags |= FlagDeleteBcc
	}
	return append([]qf.Header{returnPath}, hs...), nil
}

// returnPath is the field that mailers with flag P make of the envelope sender.
var returnPath = qf.Header{Cond: "P", Name: "Return-Path", Value: " <\x81g>"}
