//go:build !linux

package mailer

func makeFile(path string, own rights) error { return makeAside(path, own) }

func moveNew(from, to string) error { return linkNew(from, to) }
