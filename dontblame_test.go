package mtakit_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
)

func TestParseDontBlame(t *testing.T) {
	t.Parallel()
	d, err := mtakit.ParseDontBlame("groupwritableforwardfile, TrustStickyBit")
	require.NoError(t, err)
	assert.Equal(t, mtakit.DontBlameGroupWritableForwardFile|mtakit.DontBlameTrustStickyBit, d)
	assert.True(t, d.Has(mtakit.DontBlameTrustStickyBit))
	assert.False(t, d.Has(mtakit.DontBlameTrustStickyBit|mtakit.DontBlameCertOwner))
	assert.Equal(t, "GroupWritableForwardFile,TrustStickyBit", d.String())

	d, err = mtakit.ParseDontBlame("WriteStatsToSymLink,Safe")
	require.NoError(t, err)
	assert.Zero(t, d)
	assert.Equal(t, "Safe", d.String())

	_, err = mtakit.ParseDontBlame("ForwardFileInGroupWritableDirPathSafe")
	assert.EqualError(t, err, "DontBlameSendmail option: ForwardFileInGroupWritableDirPathSafe unrecognized")

	d, err = mtakit.ParseDontBlame("foo;TrustStickyBit|bar")
	require.EqualError(t, err, "DontBlameSendmail option: foo unrecognized\nDontBlameSendmail option: bar unrecognized")
	assert.Equal(t, mtakit.DontBlameTrustStickyBit, d, "the good words count")
}

// Every word reads back as its own constant; the last one shows that constants and words are in step.
func TestDontBlameWords(t *testing.T) {
	t.Parallel()
	for d := mtakit.DontBlameAssumeSafeChown; d <= mtakit.DontBlameWriteStatsToSymLink; d <<= 1 {
		got, err := mtakit.ParseDontBlame(d.String())
		require.NoError(t, err)
		assert.Equal(t, d, got)
	}
	assert.Equal(t, "WriteStatsToSymLink", mtakit.DontBlameWriteStatsToSymLink.String())
}
