package maildir

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDeliver(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home", "Maildir")
	d := New(dir, &Options{Create: true})
	name, err := d.Deliver(context.Background(), []byte("Return-Path: <>\n"), strings.NewReader("Subject: x\n\nbody\n"))
	require.NoError(t, err)
	b, err := os.ReadFile(filepath.Join(dir, "new", name))
	require.NoError(t, err)
	require.Equal(t, "Return-Path: <>\nSubject: x\n\nbody\n", string(b))
	require.Regexp(t, fmt.Sprintf(`,S=%d$`, len(b)), name)
}
