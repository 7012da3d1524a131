package mx

import (
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// watched is a small configuration file that is read again when it has changed.
type watched struct {
	name string // "" means none

	mu      sync.Mutex
	checked time.Time
	mtime   time.Time
	size    int64
}

const recheck = 5 * time.Second

// read returns the text when it is new. It looks at most every five seconds; a file that cannot be read counts as
// unchanged.
func (w *watched) read() (text string, changed bool) {
	if w.name == "" {
		return "", false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if !w.checked.IsZero() && now.Sub(w.checked) < recheck {
		return "", false
	}
	w.checked = now
	st, err := os.Stat(w.name)
	if err != nil || st.ModTime().Equal(w.mtime) && st.Size() == w.size {
		return "", false
	}
	b, err := os.ReadFile(w.name)
	if err != nil {
		return "", false
	}
	w.mtime, w.size = st.ModTime(), st.Size()
	return string(b), true
}

// hostsFile is a hosts(5) file: an address and its names on each line, # begins a comment.
type hostsFile struct {
	file  watched
	addrs atomic.Pointer[map[string][]netip.Addr]
}

// lookup returns the addresses of a name in lower case, nil when it is not listed. A nil receiver lists nothing.
func (h *hostsFile) lookup(name string) []netip.Addr {
	if h == nil {
		return nil
	}
	if text, changed := h.file.read(); changed {
		addrs := parseHosts(text)
		h.addrs.Store(&addrs)
	}
	if m := h.addrs.Load(); m != nil {
		return (*m)[name]
	}
	return nil
}

func parseHosts(text string) map[string][]netip.Addr {
	addrs := make(map[string][]netip.Addr)
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		field := strings.Fields(line)
		if len(field) < 2 {
			continue
		}
		a, err := netip.ParseAddr(field[0])
		if err != nil || a.Zone() != "" {
			continue
		}
		for _, name := range field[1:] {
			name = strings.TrimSuffix(strings.ToLower(name), ".")
			addrs[name] = append(addrs[name], a)
		}
	}
	return addrs
}
