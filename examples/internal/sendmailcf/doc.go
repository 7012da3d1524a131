// Package sendmailcf reads from a sendmail configuration (sendmail.cf) what commands need that stand in for sendmail's: options,
// and queue groups. It reads no rule sets.
package sendmailcf
