// Package sendmailcf reads from a sendmail configuration (sendmail.cf) what commands need: its lines, and of those that concern
// the queue options and queue groups. It reads no rule sets. Package aliascf is for the options that newaliases complains about.
package sendmailcf
