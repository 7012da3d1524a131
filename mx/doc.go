// Package mx finds where to connect for mail: the mail exchangers of a domain (RFC 5321 section 5.1), with implicit
// and null MX, own-host detection, fallback and MTA-STS.
//
// # Next hops
//
// A next hop is what a route names as its host:
//
//	example.com               a domain: its MX records, or the domain itself when it has none
//	[mail.example.com]        a host: its addresses, no MX
//	[192.0.2.1]               an address; so are [IPv6:2001:db8::1] and [2001:db8::1]
//	a.example:[b.example]     a list: each element on its own, in order; one that fails is skipped
//
// Names may have U-labels (they are mapped by UTS 46), any letter case and a trailing dot. They are always absolute:
// search domains are never applied, since a wildcard MX in one of them would swallow the mail.
//
// # The choice
//
// A Planner asks a Resolver and applies these rules, in order.
//
//  1. MX records decide when there are any. A failed MX lookup (server failure, refusal, time-out, CNAME loop) defers
//     the mail: the A record may be a web server. NXDOMAIN means that the domain does not exist. No MX records means
//     that the domain itself, by its canonical name, is the only exchanger.
//  2. A root target (".") means no mail (RFC 7505), whatever its preference; next to real ones it is ignored.
//  3. Exchangers are sorted by preference; one named twice counts with its best.
//  4. This host, by name (Self) or address (SelfAddrs), and everything no better than it is left out. Nothing left means
//     that mail would loop.
//  5. MX targets may be aliases. Targets that are addresses are accepted. A and AAAA count separately: one that fails
//     does not spoil the other. A domain with MX records never falls back to its own address.
//  6. Hosts outside an enforced MTA-STS policy are left out; if that leaves none, the mail waits.
//  7. One usable host is enough. Otherwise one lookup that failed for now defers, and else the domain has no address.
//  8. The fallback comes last. It also serves domains that do not exist or fail, but not a null MX or a loop.
//  9. Equal preferences are shuffled, families alternate.
//
// Client is a stub resolver (UDP with EDNS, TCP after truncation), Cache remembers answers, and any function can be
// a Resolver in tests.
//
// # Differences from sendmail
//
//   - A null MX counts with every preference, not just 0.
//   - FORMERR and CNAME loops defer; sendmail takes the first for "no MX" and the second for permanent.
//   - Equal preferences are shuffled for each message, not by a hash fixed for the process.
//   - SelfAddrs, MTA-STS and the address order are not sendmail's.
//   - When some exchangers fail for now and others do not exist, the verdict is temporary and says so in full; sendmail
//     logs dsn=5.1.2 with a bare "Deferred".
//   - IncludesSelf is false for a domain without MX records; sendmail takes the domain itself, which when it is an own
//     name is local anyway.
//
// # Concurrency
//
// Planner, Client and Cache are safe for concurrent use. A Plan belongs to the caller.
//
// Sources: RFC 5321 section 5, RFC 7505, RFC 2308, RFC 8461; sendmail domain.c, getmxrr; op.me, FallbackMXhost.
package mx
