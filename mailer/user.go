package mailer

import "strings"

// plainUser removes the quoting from a route's user: sendmail keeps quotes and backslashes as they were written up to
// the delivery, so that "|vacation ann" and \ann arrive here with them. In the middle of a name they are no quoting, but
// something to be refused.
func plainUser(user string) string {
	if user == "" || strings.IndexByte(`"\|`, user[0]) < 0 {
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
