// Package sendmailcf reads from a sendmail configuration (sendmail.cf) what commands need that look at the queue: options, and
// queue groups. It reads no rule sets. Package aliascf is for the options that newaliases complains about.
package sendmailcf
