package getopt_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mtakit/mtakit/examples/internal/getopt"
)

func TestPermuted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, want, operands string }{
		{args: "a -N b -t x c", want: "N= t=x", operands: "a b c"},
		{args: "a -N -- b -N", want: "N=", operands: "a b -N"},
		{args: "-N", want: "N="},
		{args: "-- -- -N", operands: "-- -N"},
		{args: "a - -N", want: "N=", operands: "a -"},
	} {
		var got []string
		operands, err := getopt.Permuted(strings.Fields(tt.args), "Nt:", func(letter byte, arg string) error {
			got = append(got, string(letter)+"="+arg)
			return nil
		})
		assert.NoError(t, err)
		assert.Equal(t, tt.want, strings.Join(got, " "), tt.args)
		assert.Equal(t, tt.operands, strings.Join(operands, " "), tt.args)
	}
	_, err := getopt.Permuted([]string{"a", "-x"}, "N", nil)
	assert.EqualError(t, err, "invalid option -- 'x'")
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args, want, operands, err string
	}{
		{args: "hash map", operands: "hash map"},
		{args: "-Nd hash -x", want: "N= d=", operands: "hash -x"},
		{args: "-t : -c 5 hash", want: "t=: c=5", operands: "hash"},
		{args: "-Nt: hash", want: "N= t=:", operands: "hash"},
		{args: "-N -- -d", want: "N=", operands: "-d"},
		{args: "-", operands: "-"},
		{args: "-Nz", want: "N=", err: "invalid option -- 'z'"},
		{args: "-:", err: "invalid option -- ':'"},
		{args: "-t", err: "option requires an argument -- 't'"},
		{args: "-q -N x", want: "q= N=", operands: "x"},
		{args: "-Nqtext x", want: "N= q=text", operands: "x"},
		{args: "-! x", err: "stop"},
		{args: "-C file x", want: "C=file", operands: "x"},
		{args: "-NC", want: "N= C="},
	} {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			var got []string
			operands, err := getopt.Parse(strings.Fields(tt.args), "Ndt:C:::c:!q::", func(letter byte, arg string) error {
				if letter == '!' {
					return errors.New("stop")
				}
				got = append(got, string(letter)+"="+arg)
				return nil
			})
			assert.Equal(t, tt.want, strings.Join(got, " "))
			if tt.err != "" {
				assert.EqualError(t, err, tt.err)
				var wrong *getopt.Error
				if errors.As(err, &wrong) {
					assert.Equal(t, strings.NewReplacer("invalid", "illegal", "'", "").Replace(tt.err), wrong.Short())
				}
				return
			}
			assert.NoError(t, err)
			assert.Equal(t, tt.operands, strings.Join(operands, " "))
		})
	}
}
