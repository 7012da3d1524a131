// Package examples holds programs built from mtakit: the reference server and the drop-in commands.
package examples
