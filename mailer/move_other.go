//go:build !linux

package mailer

func moveNew(from, to string) error { return linkNew(from, to) }
