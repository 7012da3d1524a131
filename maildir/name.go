package maildir

import (
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxName is how long a file name may be on the file systems in use (NAME_MAX).
const maxName = 255

// Namer makes unique base names of the modern form,
//
//	T.M<microseconds>P<pid>Q<counter>R<random>.<host>
//
// The zero value is ready for use. With Now, Rand, Host and Pid set the names are reproducible, for fixtures. A
// Namer must not be copied after first use and is safe for concurrent use if Now and Rand are.
type Namer struct {
	Host string           // empty means the name of this machine; escaped as the format demands
	Pid  int              // 0 means the process's own
	Now  func() time.Time // nil means time.Now
	Rand func() uint64    // nil means a generator seeded by the operating system

	counter atomic.Uint64
	once    sync.Once
	host    string
	pid     int
	mu      sync.Mutex
	chacha  *rand.ChaCha8
}

func (n *Namer) init() {
	n.host, n.pid = n.Host, n.Pid
	if n.host == "" {
		n.host, _ = os.Hostname()
	}
	n.host = escapeHost(n.host)
	if n.pid == 0 {
		n.pid = os.Getpid()
	}
	if n.Rand == nil {
		var seed [32]byte
		_, _ = crand.Read(seed[:]) // never fails: crypto/rand ends the program instead
		n.chacha = rand.NewChaCha8(seed)
	}
}

// Name returns a new base name, without sizes and info part. It is shorter than 160 bytes.
func (n *Namer) Name() string { return string(n.appendName(make([]byte, 0, 128))) }

// appendName appends a new base name to b. The counter and the random number keep names apart within one
// microsecond and between containers that share pid and host name.
func (n *Namer) appendName(b []byte) []byte {
	n.once.Do(n.init)
	now := time.Now
	if n.Now != nil {
		now = n.Now
	}
	t := now()
	b = strconv.AppendInt(b, t.Unix(), 10)
	b = append(b, ".M"...)
	b = strconv.AppendInt(b, int64(t.Nanosecond()/1000), 10)
	b = append(b, 'P')
	b = strconv.AppendInt(b, int64(n.pid), 10)
	b = append(b, 'Q')
	b = strconv.AppendUint(b, n.counter.Add(1), 10)
	b = append(b, 'R')
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], n.random())
	for _, c := range raw {
		b = append(b, hexDigits[c>>4], hexDigits[c&15])
	}
	b = append(b, '.')
	return append(b, n.host...)
}

const hexDigits = "0123456789abcdef"

func (n *Namer) random() uint64 {
	if n.Rand != nil {
		return n.Rand()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.chacha.Uint64()
}

// escapeHost makes a host name fit for a file name: "/" becomes \057 and ":" becomes \072, commas, blanks and
// control bytes are dropped, and what is longer than 64 bytes is cut.
func escapeHost(h string) string {
	var b strings.Builder
	for i := 0; i < len(h) && b.Len() < 64; i++ {
		switch c := h[i]; {
		case c == '/':
			b.WriteString(`\057`)
		case c == ':':
			b.WriteString(`\072`)
		case c == ',' || c <= ' ' || c == 0x7f:
		default:
			b.WriteByte(c)
		}
	}
	if b.Len() == 0 {
		return "localhost"
	}
	return b.String()
}
