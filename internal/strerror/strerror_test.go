package strerror

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestText(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "No such file or directory", Text(&fs.PathError{Op: "open", Path: "x", Err: syscall.ENOENT}))
	assert.Equal(t, "Permission denied", Text(fmt.Errorf("map: %w", syscall.EACCES)))
	assert.Equal(t, "Unknown error 4095", Text(syscall.Errno(4095)))
	assert.Equal(t, "not the system's", Text(errors.New("not the system's")))
}
