// Package filelock takes the advisory locks that mail programs share: flock(2), and fcntl(2) locks in the form that
// belongs to the open file (OFD), so that closing another descriptor of the same file does not drop them. Every
// call returns at once; waiting with a limit is the caller's.
package filelock
