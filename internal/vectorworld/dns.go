package vectorworld

import (
	"context"
	"fmt"
	"strings"
)

// Zone is the name server data of a world: records as name, type, data…, and names that it cannot answer for.
type Zone struct {
	Records  [][]any  `json:"recs"`
	ServFail []string `json:"servfail"`
}

// hosts is the hosts file of every world.
var hosts = map[string]string{"localhost": "localhost", Hostname: Hostname, "mx": Hostname}

// canonify follows a name as sendmail does: the hosts file, then CNAME records, as long as there is an address or a
// mail exchanger in the end.
func (z *Zone) canonify(_ context.Context, name string) (string, bool, error) {
	name = strings.ToLower(name)
	if full, ok := hosts[name]; ok {
		return full, true, nil
	}
	for range 8 {
		for _, bad := range z.ServFail {
			if name == bad || strings.HasPrefix(bad, "*.") && strings.HasSuffix(name, bad[1:]) {
				return "", false, fmt.Errorf("%s: name server timeout", name)
			}
		}
		next, found := "", false
		for _, rec := range z.Records {
			if len(rec) < 3 || !strings.EqualFold(fmt.Sprint(rec[0]), name) {
				continue
			}
			switch rec[1] {
			case "CNAME":
				next = strings.TrimSuffix(fmt.Sprint(rec[2]), ".")
			case "A", "AAAA", "MX":
				found = true
			}
		}
		if found {
			return name, true, nil
		}
		if next == "" {
			return "", false, nil
		}
		name = strings.ToLower(next)
	}
	return "", false, nil
}
