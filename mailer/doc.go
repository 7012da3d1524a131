// Package mailer is under way.
package mailer
