//go:build !unix

package maildir

// oNoFollow is nothing where there is no such flag.
const oNoFollow = 0
