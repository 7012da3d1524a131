package mailer

import "strings"

// plainUser removes the quoting from a route's user: sendmail keeps quotes and backslashes as they were written up to
// the delivery, so that "|vacation ann" and \ann arrive here with them.
func plainUser(user string) string {
	if !strings.ContainsAny(user, `"\`) {
		return user
	}
	var b strings.Builder
	for i := 0; i < len(user); i++ {
		switch user[i] {
		case '"':
			continue
		case '\\':
			if i++; i == len(user) {
				continue
			}
		}
		b.WriteByte(user[i])
	}
	return b.String()
}
