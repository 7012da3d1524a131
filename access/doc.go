// Package access reads sendmail access tables and decides, as sendmail's standard rules do, who may connect, who may
// send, and for whom mail may be relayed.
//
// # File format
//
//	# comment
//	Connect:198.51.100         REJECT
//	Connect:IPv6:2001:db8:5    RELAY
//	From:spam.example          ERROR:5.7.1:550 We do not like spam
//	From:info@spam.example     OK
//	To:lists.example           RELAY
//	To:ann@                    550 5.2.1 Ann has left
//	Spam:abuse@                FRIEND
//	ClientRate:                10
//
// One entry per line: a key, white space, and the value, which is the rest of the line as it stands. Lines that are
// empty or begin with # are comments; a # elsewhere is data. A line must not begin with white space, and nothing
// continues a line. Case does not matter in keys and keywords. Of duplicate keys the first counts.
// A line may have 1022 bytes, unless Parser.MaxLine says otherwise.
//
// A key is a tag with a colon, which may be missing, and one of
//
//	example.com             a domain with all hosts in it, unless a longer key matches
//	.example.com            only with Options.LookupDotDomain: the hosts in it
//	192.0.2.1, 192.0.2      an IPv4 address or network on octet boundaries, without trailing dot
//	IPv6:2001:db8:0:0:0:0:0:1, IPv6:2001:db8
//	                        an IPv6 address or network on group boundaries: no "::", no leading zeros; see AddrKey
//	[192.0.2.1], [192.0.2]  an address literal, and a client without a verified name
//	user@example.com        an address; user@example.com also covers user+detail@example.com
//	user+*@example.com      the user with any detail
//	user@                   the user in any domain for senders, in local domains for recipients
//
// Connect: entries speak of clients, From: of senders, To: of recipients, Spam: of recipients who want more or less
// protection (Policy.DelayChecks), ClientRate: and ClientConn: of limits, GreetPause: of milliseconds before the
// greeting. An entry without a tag is meant for Connect:, From: and To: alike. At each key the tagged entry is tried
// first and the one without tag next, before a more general key is tried: a specific entry without tag beats a
// general one with tag.
//
// The values are
//
//	OK                  accept, even if the sender's domain does not exist
//	RELAY               accept; for Connect: and To: also relay
//	REJECT              refuse with the default text
//	DISCARD             accept and drop silently
//	SKIP                only with Options.Skip: end this search with nothing found
//	QUARANTINE:reason   accept and hold
//	ERROR:5.7.1:550 text, ERROR:text, 550 text
//	                    refuse; a reply code and an enhanced status may stand in front of the text
//	FRIEND, HATER       for Spam: entries
//	anything else       refuse with this text
//
// A text without a reply code is sent with 553 5.3.0, whatever status ERROR: named. Texts are split into words and put
// together again as sendmail does it: parenthesised comments vanish, and blanks beside .:%@!^/[]+<>,; do too.
//
// # Questions
//
// Policy holds the switches that sendmail's m4 features set, and answers for a server: Connect (check_relay), From
// (check_mail) and To (check_rcpt), each with a Decision that carries the finished reply and the steps that led to it.
// When the table or the DNS cannot tell, the answer is temporary, never yes and never no.
//
// Nobody may relay by default but this machine itself. Relaying is permitted to local domains and to the domains
// in Policy.Relay, and To:domain RELAY entries; to clients in networks of Policy.Relay or with Connect:… RELAY; and
// through the switches that begin with Relay.
//
// # Differences from sendmail
//
//   - A line that is too long is reported and skipped; makemap takes what is left of it for a further line.
//   - Duplicate keys are reported, and the first counts, as with makemap.
//   - TLS_…, AuthInfo: and …_Features: entries are read but not acted on, DNS lists are not asked, and the flags of
//     DaemonPortOptions do not exist.
//   - ERROR: with nothing behind it is the text "ERROR:"; sendmail takes the text from its workspace.
//   - A class that cannot tell (Policy.Local) gives a temporary failure; sendmail's classes are in memory.
//
// # Concurrency
//
// File, Map and Policy are safe for concurrent use as long as nobody changes a Policy's fields. Connections is safe for
// concurrent use.
//
// Sources: sendmail cf/README, sections "ANTI-SPAM CONFIGURATION CONTROL" and FEATURE(access_db); cf/m4/proto.m4;
// RFC 5321 sections 3.6 and 4.2, RFC 3463.
package access
