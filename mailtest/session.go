package mailtest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// session is the server's side of one connection.
type session struct {
	s      *Server
	nc     net.Conn
	r      *bufio.Reader
	w      *bufio.Writer
	number int
	log    *Session // nil when nothing is recorded

	helo  string
	tls   bool
	user  string
	m     *Message // the transaction under way; nil before MAIL
	count int      // messages accepted
	bodyN int      // bytes of the message under way that have been seen
}

// errEnd ends a session in an orderly way.
var errEnd = errors.New("session ended")

func (c *session) run() {
	c.r, c.w = bufio.NewReaderSize(c.nc, 8<<10), bufio.NewWriterSize(c.nc, 4<<10)
	if c.s.ImplicitTLS && c.startTLS() != nil {
		return
	}
	proto := "ESMTP"
	if c.s.LMTP {
		proto = "LMTP"
	}
	err := c.answer(OnConnect, "", "", "220 "+c.s.Name+" "+proto+" mailtest")
	for err == nil {
		var line string
		if line, err = c.readLine(); err == nil {
			err = c.command(line)
		}
	}
	c.w.Flush()
}

// readLine sends what is waiting, unless the client has already sent more (RFC 2920 section 3.2), and reads a line.
func (c *session) readLine() (string, error) {
	if c.r.Buffered() == 0 {
		if err := c.w.Flush(); err != nil {
			return "", err
		}
	}
	var line []byte
	for {
		part, err := c.r.ReadSlice('\n')
		line = append(line, part...)
		if errors.Is(err, bufio.ErrBufferFull) && len(line) < 1<<20 {
			continue
		}
		if err != nil {
			return "", err
		}
		break
	}
	text := strings.TrimRight(string(line), "\r\n")
	c.record(true, text)
	return text, nil
}

func (c *session) record(client bool, text string) {
	if c.log == nil {
		return
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.log.Lines = append(c.log.Lines, Line{client, text})
}

// answer sends the normal reply, or does what the script says instead. The error errEnd ends the session.
func (c *session) answer(stage Stage, line, addr, normal string) error {
	_, err := c.reply(stage, line, addr, normal)
	return err
}

// reply is answer that also tells the first digit of the code that was sent.
func (c *session) reply(stage Stage, line, addr, normal string) (class byte, err error) {
	st, ok := c.step(stage, line, addr)
	if !ok {
		return normal[0], c.say(normal)
	}
	return st.class(normal), c.perform(st, normal)
}

// class is the first digit of the code that a step answers with, or 0.
func (st Step) class(normal string) byte {
	switch {
	case st.Hang, st.Drop && st.Reply == "" && st.Raw == "":
		return 0
	case st.Raw != "":
		return st.Raw[0]
	case st.Reply != "":
		return st.Reply[0]
	}
	return normal[0]
}

// perform does a step.
func (c *session) perform(st Step, normal string) error {
	if st.Delay > 0 && !c.pause(st.Delay) {
		return errEnd
	}
	switch {
	case st.Hang:
		c.w.Flush()
		io.Copy(io.Discard, c.r) // ends when the client leaves or the server is closed
		return errEnd
	case st.Raw != "":
		c.record(false, strconv.Quote(st.Raw))
		c.w.WriteString(st.Raw)
	case st.Reply != "":
		c.say(st.Reply)
	case !st.Drop:
		c.say(normal)
	}
	if st.Drop {
		return errEnd
	}
	return nil
}

// step asks the handler and the script.
func (c *session) step(stage Stage, line, addr string) (Step, bool) {
	cmd := Command{Stage: stage, Line: line, Address: addr, Session: c.number, Count: c.count}
	if c.s.Handler != nil {
		if st, ok := c.s.Handler(cmd); ok {
			return st, true
		}
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.script.next(cmd)
}

// say sends a reply; all lines but the last get a hyphen after the code.
func (c *session) say(text string) error {
	if !strings.Contains(text, "\n") {
		c.record(false, text)
		c.w.WriteString(text)
		_, err := c.w.WriteString("\r\n")
		return err
	}
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if i < len(lines)-1 && len(l) > 3 {
			l = l[:3] + "-" + l[4:]
		}
		c.record(false, l)
		c.w.WriteString(l)
		if _, err := c.w.WriteString("\r\n"); err != nil {
			return err
		}
	}
	return nil
}

// pause waits, and is false when the server is closed meanwhile.
func (c *session) pause(d time.Duration) bool {
	c.w.Flush()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.s.ctx.Done():
		return false
	}
}

// command carries out one command line.
func (c *session) command(line string) error {
	verb, arg, _ := strings.Cut(line, " ")
	switch verb = strings.ToUpper(verb); verb {
	case "HELO", "EHLO", "LHLO":
		return c.hello(verb, line, arg)
	case "STARTTLS":
		return c.doSTARTTLS(line)
	case "AUTH":
		return c.auth(line, arg)
	case "MAIL":
		return c.mail(line, arg)
	case "RCPT":
		return c.rcpt(line, arg)
	case "DATA":
		return c.data(line)
	case "BDAT":
		return c.bdat(line, arg)
	case "RSET":
		c.m = nil
		return c.answer(OnRset, line, "", "250 2.0.0 Reset")
	case "NOOP":
		return c.say("250 2.0.0 Ok")
	case "VRFY":
		return c.say("252 2.5.0 Cannot say")
	case "QUIT":
		if err := c.answer(OnQuit, line, "", "221 2.0.0 Bye"); err != nil {
			return err
		}
		return errEnd
	}
	return c.say("500 5.5.1 Unknown command")
}

func (c *session) hello(verb, line, arg string) error {
	if (verb == "LHLO") != c.s.LMTP {
		return c.say("500 5.5.1 Wrong protocol")
	}
	c.helo, c.m = arg, nil
	if verb == "HELO" {
		return c.answer(OnHello, line, "", "250 "+c.s.Name)
	}
	ext := c.s.Extensions
	if ext == nil {
		ext = []string{"PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN", "CHUNKING", "SIZE"}
		if c.s.MaxBytes > 0 {
			ext[len(ext)-1] = "SIZE " + strconv.Itoa(c.s.MaxBytes)
		}
	}
	lines := append([]string{c.s.Name}, ext...)
	if c.s.STARTTLS && !c.tls {
		lines = append(lines, "STARTTLS")
	}
	if c.s.Users != nil {
		lines = append(lines, "AUTH PLAIN LOGIN")
	}
	return c.answer(OnHello, line, "", "250 "+strings.Join(lines, "\n250 "))
}

func (c *session) doSTARTTLS(line string) error {
	if !c.s.STARTTLS || c.tls {
		return c.say("503 5.5.1 TLS is not available")
	}
	class, err := c.reply(OnSTARTTLS, line, "", "220 2.0.0 Go ahead")
	if err != nil || class != '2' {
		return err
	}
	if err := c.w.Flush(); err != nil {
		return err
	}
	c.helo, c.m = "", nil
	return c.startTLS()
}

func (c *session) startTLS() error {
	if c.s.BadTLS {
		c.nc.Read(make([]byte, 1024)) // the client's hello
		io.WriteString(c.nc, "this is no TLS record\r\n")
		return errEnd
	}
	tc := tls.Server(c.nc, c.s.TLSConfig)
	if err := tc.HandshakeContext(c.s.ctx); err != nil {
		c.record(false, "(TLS handshake: "+err.Error()+")")
		return errEnd
	}
	c.nc, c.tls = tc, true
	c.r.Reset(tc)
	c.w.Reset(tc)
	c.record(false, "(TLS begins)")
	return nil
}

// auth checks AUTH PLAIN and LOGIN against Users.
func (c *session) auth(line, arg string) error {
	if c.s.Users == nil {
		return c.say("503 5.5.1 AUTH is not available")
	}
	mech, initial, _ := strings.Cut(arg, " ")
	ask := func(prompt string) string {
		c.say("334 " + base64.StdEncoding.EncodeToString([]byte(prompt)))
		l, err := c.readLine()
		if err != nil {
			return ""
		}
		return l
	}
	decode := func(s string) string {
		b, _ := base64.StdEncoding.DecodeString(s)
		return string(b)
	}
	var user, password string
	switch strings.ToUpper(mech) {
	case "PLAIN":
		if initial == "" {
			initial = ask("")
		}
		if part := strings.Split(decode(initial), "\x00"); len(part) == 3 {
			user, password = part[1], part[2]
		}
	case "LOGIN":
		if initial == "" {
			initial = ask("Username:")
		}
		user, password = decode(initial), decode(ask("Password:"))
	default:
		return c.say("504 5.5.4 Unknown mechanism")
	}
	want, known := c.s.Users[user]
	if !known || want != password {
		return c.answer(OnAuth, line, "", "535 5.7.8 Wrong name or password")
	}
	class, err := c.reply(OnAuth, line, "", "235 2.7.0 Welcome")
	if class == '2' {
		c.user = user
	}
	return err
}

// path takes "FROM:<a@b> PARAMS" apart.
func path(arg, keyword string) (addr, params string, ok bool) {
	if len(arg) < len(keyword) || !strings.EqualFold(arg[:len(keyword)], keyword) {
		return "", "", false
	}
	arg = strings.TrimLeft(arg[len(keyword):], " ")
	if !strings.HasPrefix(arg, "<") {
		return "", "", false
	}
	quoted := false
	for i := 1; i < len(arg); i++ {
		switch {
		case arg[i] == '\\' && quoted:
			i++
		case arg[i] == '"':
			quoted = !quoted
		case arg[i] == '>' && !quoted:
			return arg[1:i], strings.TrimSpace(arg[i+1:]), true
		}
	}
	return "", "", false
}

func (c *session) mail(line, arg string) error {
	from, params, ok := path(arg, "FROM:")
	switch {
	case !ok:
		return c.say("501 5.5.4 Want MAIL FROM:<address>")
	case c.m != nil:
		return c.say("503 5.5.1 Nested MAIL")
	case c.s.Users != nil && c.user == "":
		return c.say("530 5.7.0 Authentication required")
	case c.s.MaxMessages > 0 && c.count >= c.s.MaxMessages:
		c.say("421 4.7.0 Too many messages in this session")
		return errEnd
	}
	for p := range strings.FieldsSeq(params) {
		if n, ok := strings.CutPrefix(strings.ToUpper(p), "SIZE="); ok && c.s.MaxBytes > 0 {
			if size, err := strconv.Atoi(n); err != nil || size > c.s.MaxBytes {
				return c.say("552 5.3.4 Message is too large")
			}
		}
	}
	class, err := c.reply(OnMail, line, from, "250 2.1.0 Sender ok")
	if class == '2' {
		c.m = &Message{Session: c.number, Helo: c.helo, TLS: c.tls, User: c.user, From: from, Params: params}
		c.bodyN = 0
	}
	return err
}

func (c *session) rcpt(line, arg string) error {
	to, params, ok := path(arg, "TO:")
	switch {
	case c.m == nil:
		return c.say("503 5.5.1 Need MAIL first")
	case !ok || to == "":
		return c.say("501 5.5.4 Want RCPT TO:<address>")
	}
	normal := "250 2.1.5 Recipient ok"
	if c.s.Greylist && !c.greeted(to) {
		normal = "451 4.7.1 Greylisted, try again later"
	}
	class, err := c.reply(OnRcpt, line, to, normal)
	if class == '2' {
		c.m.Rcpts = append(c.m.Rcpts, Rcpt{to, params})
	}
	return err
}

// greeted reports whether the pair was seen before.
func (c *session) greeted(to string) bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	pair := [2]string{c.m.From, strings.ToLower(to)}
	seen := c.s.grey[pair]
	c.s.grey[pair] = true
	return seen
}

func (c *session) data(line string) error {
	normal := "354 Go ahead"
	if c.m == nil || len(c.m.Rcpts) == 0 {
		normal = "503 5.5.1 Need RCPT first"
		if c.m == nil {
			c.m = &Message{}
		}
	}
	class, err := c.reply(OnData, line, "", normal)
	if err != nil {
		return err
	}
	if class != '3' {
		c.m = nil
		return nil
	}
	if err := c.w.Flush(); err != nil {
		return err
	}
	if err := c.readBody(); err != nil {
		return err
	}
	if len(c.m.Rcpts) == 0 { // a script let DATA through
		c.m = nil
		return c.say("554 5.5.1 No valid recipients")
	}
	return c.done()
}

// readBody reads up to the final dot, which counts only between CRLFs, and takes the stuffed dots out.
func (c *session) readBody() error {
	step, scripted := c.step(OnBody, "", "")
	bol := true // what came before ended in CRLF
	var last byte
	for {
		part, err := c.r.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		n := len(part)
		text := part
		if bol && part[0] == '.' {
			if string(part) == ".\r\n" {
				return nil
			}
			text = part[1:]
		}
		if n > 1 {
			last = part[n-2]
		}
		bol = part[n-1] == '\n' && last == '\r'
		last = part[n-1]
		c.take(text)
		if scripted && c.bodyN >= step.After {
			scripted = false
			if err := c.interrupt(step); err != nil {
				return err
			}
		}
	}
}

// take appends to the message under way.
func (c *session) take(p []byte) {
	c.bodyN += len(p)
	if !c.s.Discard {
		c.m.Data = append(c.m.Data, p...)
	}
}

// interrupt does a step in the middle of a message.
func (c *session) interrupt(st Step) error {
	if st.Delay > 0 && !c.pause(st.Delay) {
		return errEnd
	}
	if st.Reply != "" {
		c.say(st.Reply)
	}
	c.w.WriteString(st.Raw)
	c.w.Flush()
	if st.Hang {
		<-c.s.ctx.Done()
		return errEnd
	}
	if st.Drop {
		return errEnd
	}
	return nil
}

// bdat takes a chunk (RFC 3030).
func (c *session) bdat(line, arg string) error {
	f := strings.Fields(arg)
	if len(f) == 0 {
		return c.say("501 5.5.4 Want BDAT size")
	}
	n, err := strconv.ParseInt(f[0], 10, 32)
	if err != nil || n < 0 {
		return c.say("501 5.5.4 Want BDAT size")
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, c.r, n); err != nil {
		return err
	}
	if c.m == nil || len(c.m.Rcpts) == 0 {
		return c.say("503 5.5.1 Need RCPT first")
	}
	c.take(b.Bytes())
	if len(f) > 1 && strings.EqualFold(f[1], "LAST") {
		return c.done()
	}
	return c.answer(OnData, line, "", fmt.Sprintf("250 2.0.0 %d bytes", n))
}

// done answers the end of a message and keeps it for the recipients that were granted it.
func (c *session) done() error {
	m := c.m
	c.m = nil
	if c.log != nil {
		c.record(true, fmt.Sprintf("(message of %d bytes)", c.bodyN))
	}
	normal := "250 2.0.0 Ok: message " + strconv.Itoa(c.number) + "." + strconv.Itoa(c.count+1)
	if c.s.MaxBytes > 0 && c.bodyN > c.s.MaxBytes {
		normal = "552 5.3.4 Message is too large"
	}
	granted, verdicts := m.Rcpts, []Rcpt{{}}
	if c.s.LMTP {
		granted, verdicts = nil, m.Rcpts
	}
	steps := make([]Step, len(verdicts))
	keep := false
	for i, r := range verdicts {
		st, scripted := c.step(OnDot, "", r.Addr)
		if !scripted {
			st = Step{Reply: normal}
		}
		if st.class(normal) == '2' || st.Keep {
			keep = true
			if c.s.LMTP {
				granted = append(granted, r)
			}
		}
		steps[i] = st
	}
	if keep { // before the client knows, so that it finds the message when it looks
		m.Rcpts = granted
		c.keep(m)
	}
	for _, st := range steps {
		if err := c.perform(st, normal); err != nil {
			return err
		}
	}
	return nil
}

func (c *session) keep(m *Message) {
	c.count++
	m.Time = time.Now()
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.count++
	if !c.s.Discard {
		c.s.messages = append(c.s.messages, m)
	}
}
