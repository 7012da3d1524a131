package mtakit_test

import (
	"errors"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The program in the README is examples/quickstart, so that it compiles.
func TestReadmeProgram(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	program, err := os.ReadFile("examples/quickstart/main.go")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the examples module is not here: this is a download of the root module alone")
	}
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```go\n(.*?)```").FindSubmatch(readme)
	require.NotNil(t, block)
	_, code, _ := strings.Cut(string(program), "package main")
	assert.Equal(t, "package main"+code, string(block[1]))
}
