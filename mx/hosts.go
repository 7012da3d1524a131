package mx

import (
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// hostsFile is a hosts(5) file: an address and its names on each line, # begins a comment.
type hostsFile struct {
	name string

	mu      sync.Mutex
	checked time.Time
	mtime   time.Time
	size    int64
	addrs   map[string][]netip.Addr
}

const hostsRecheck = 5 * time.Second

// lookup returns the addresses of a name in lower case, nil when it is not listed. A nil receiver lists nothing.
func (h *hostsFile) lookup(name string) []netip.Addr {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); now.Sub(h.checked) > hostsRecheck {
		h.checked = now
		h.reload()
	}
	return h.addrs[name]
}

// reload reads the file when it has changed. One that cannot be read leaves the last good content.
func (h *hostsFile) reload() {
	st, err := os.Stat(h.name)
	if err != nil || st.ModTime().Equal(h.mtime) && st.Size() == h.size {
		return
	}
	text, err := os.ReadFile(h.name)
	if err != nil {
		return
	}
	h.mtime, h.size = st.ModTime(), st.Size()
	h.addrs = parseHosts(string(text))
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
