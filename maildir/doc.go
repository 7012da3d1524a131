// Package maildir is under way.
package maildir
