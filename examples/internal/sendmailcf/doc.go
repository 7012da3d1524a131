// Package sendmailcf reads from a sendmail configuration (sendmail.cf) what commands need to know about
// its options and queue groups; package cflines has its lines. It reads no rule sets. Package aliascf is for the options that newaliases complains about.
package sendmailcf
