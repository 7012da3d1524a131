package alias

import (
	"context"
	"fmt"
	"io"

	"github.com/mtakit/mtakit"
)

// Praliases prints the entries of an alias database under the given keys as praliases does: key:value, or the key and
// No such key. Keys are looked up as they are. A table that cannot tell is an error.
func Praliases(ctx context.Context, w io.Writer, table mtakit.Table, keys ...string) error {
	for _, key := range keys {
		value, ok, err := table.Lookup(ctx, key)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", key, err)
		case ok:
			err = PrintEntry(w, key, value)
		default:
			_, err = fmt.Fprintf(w, "%s: No such key\n", key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// PrintEntry prints one entry as praliases does when it lists a whole database, EndKey included.
func PrintEntry(w io.Writer, key, value string) error {
	_, err := fmt.Fprintf(w, "%s:%s\n", key, value)
	return err
}
