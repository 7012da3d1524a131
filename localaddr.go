package mtakit

import (
	"context"
	"strings"

	"github.com/mtakit/mtakit/internal/lex"
)

// rewriteLocal is ruleset localaddr (5): what becomes of a local user who has no alias. ok is false when nothing does;
// otherwise out is what replaces the recipient. detail is the host part of the local route.
//
//	user+detail   user+* is tried as an alias, then user with the detail put aside
//	unknown user  UserRelay
//	any user      MailHub, else LocalRelay
func (r *Resolver) rewriteLocal(ctx context.Context, user, detail string, out *parsed) (ok bool) {
	if !r.PreserveDetail {
		if name, ok := strings.CutSuffix(user, "+*"); ok && name != "" {
			out.route = Route{MailerLocal, detail, name}
			return true
		}
		if plus := plusIndex(user); plus > 0 {
			out.route = Route{MailerLocal, user[plus:], user[:plus] + "+*"}
			return true
		}
	}
	if relay, verdict, err := r.relayFor(ctx, user); err != nil {
		out.err, out.wait, out.silent = err, true, true
		return true
	} else if verdict != nil {
		p := parser{r: r, ctx: ctx, out: out}
		p.verdict(verdict, Route{})
		return true
	} else if !relay.isZero() {
		r.relayLocal(ctx, relay, user+detailOf(detail), out)
		return true
	}
	if strings.HasPrefix(detail, "+") && !r.PreserveDetail {
		out.route = Route{MailerLocal, detail[1:], user}
		out.noRewrite = true
		return true
	}
	return false
}

// plusIndex returns the index of the plus sign that begins the detail: the first one that is neither the first
// character nor in quotes. It returns -1 if there is none.
func plusIndex(user string) int {
	quoted := false
	for i := 0; i < len(user); i++ {
		switch c := user[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '+' && i > 0 && !quoted:
			return i
		}
	}
	return -1
}

func detailOf(host string) string {
	if strings.HasPrefix(host, "+") {
		return host
	}
	return ""
}

// relayFor chooses the relay for a local user.
func (r *Resolver) relayFor(ctx context.Context, user string) (relay Route, verdict *Error, err error) {
	if !r.UserRelay.isZero() || r.UserRelayError != nil {
		name := user
		if i := plusIndex(user); i > 0 && r.PreserveDetail {
			name = user[:i] // the detail belongs to the name, but not to the account
		}
		_, ok, err := r.account(ctx, loginName(name))
		if err != nil {
			return Route{}, nil, err
		}
		if !ok {
			return r.UserRelay, r.UserRelayError, nil
		}
	}
	if !r.MailHub.isZero() {
		return r.MailHub, nil, nil
	}
	return r.LocalRelay, nil, nil
}

// relayLocal sends name, with its detail, to relay. A local relay is a user who gets the mail of all these names.
func (r *Resolver) relayLocal(ctx context.Context, relay Route, name string, out *parsed) {
	if relay.Mailer == MailerLocal {
		user := relay.User
		if user == "" {
			user = name
		}
		tokens, _, _ := lex.Scan(user, 0)
		out.route = localRoute(tokens)
		out.route.Host = name
		return
	}
	p := parser{r: r, ctx: ctx, out: out}
	f := focus{form: hosted, local: []string{name}, host: []string{relay.Host}}
	p.remote(relay, f)
}

// account looks up a user by login name.
func (r *Resolver) account(ctx context.Context, name string) (Account, bool, error) {
	if r.Accounts == nil {
		return Account{Name: name}, name != "", nil
	}
	acct, ok, err := r.Accounts.Account(ctx, name)
	if ok || err != nil {
		return acct, ok, err
	}
	if lower := lex.Fold(name); lower != name {
		return r.Accounts.Account(ctx, lower)
	}
	return Account{}, false, nil
}
