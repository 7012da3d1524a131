// Package datadir says where the reference server keeps its data, for the commands that look into it.
package datadir

import (
	"os"
	"path/filepath"
)

// Default is the data directory when no flag names one: $MTAKIT_DATA, or mtakit-data in the current directory.
func Default() string {
	if d := os.Getenv("MTAKIT_DATA"); d != "" {
		return d
	}
	return "mtakit-data"
}

// Find returns the path of a file or directory in the default data directory if it exists there, and otherwise the place
// where sendmail has it.
func Find(name, sendmail string) string {
	p := filepath.Join(Default(), name)
	if _, err := os.Stat(p); err == nil {
		return p
	}
	return sendmail
}
