package maildir

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzEntry: names of any bytes are taken apart without panic, and a change of flags keeps the base and what is not
// understood, and says what it was told.
func FuzzEntry(f *testing.F) {
	for _, s := range []string{"1.M2P3.h,S=4,W=5:2,FSa", "1.x:2,S:2,F", "x", ":", "1.a:1,b", "a,S=:2,,S", "\xff\xfe:2,Z*,x"} {
		f.Add(s, "SF")
	}
	f.Fuzz(func(t *testing.T, name, flags string) {
		if strings.ContainsAny(name, "/\x00") {
			return
		}
		e := ParseEntry(CurSub, name, 0)
		e.Size()
		e.VirtualSize()
		e.Time()
		require.Zero(t, Compare(e, e))
		want := ""
		for _, c := range []byte(canonicalFlags(flags)) {
			if isFlag(c) || isKeyword(c) {
				want += string(rune(c))
			}
		}
		now := ParseEntry(CurSub, e.withFlags(want), 0)
		require.Equal(t, e.Base(), now.Base())
		require.Equal(t, want, canonicalFlags(now.Flags()+now.KeywordLetters()))
		require.Equal(t, e.Unknown(), now.Unknown())
		require.Equal(t, now.Name, now.withFlags(want), "doing it twice changes nothing")
	})
}

// FuzzUTF7: what decodes encodes to the same, and what encodes decodes to the same.
func FuzzUTF7(f *testing.F) {
	for _, s := range []string{"Entw&APw-rfe", "A&-B", "&ZeVnLIqe-", "&2D3eAQ-", "&AOk", "&AGE-", "a&-&AOk-&AOk-", "Grüße", "日本語", "😁&"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if dec, err := DecodeUTF7(s); err == nil {
			enc, err := EncodeUTF7(dec)
			require.NoError(t, err)
			require.Equal(t, s, enc)
		}
		if enc, err := EncodeUTF7(s); err == nil {
			dec, err := DecodeUTF7(enc)
			require.NoError(t, err)
			require.Equal(t, s, dec)
		}
	})
}

// FuzzUsage: never panics; the sums of what parses are those of its lines.
func FuzzUsage(f *testing.F) {
	for _, s := range []string{"100S,10C\n1 1\n-1 -1\n", "10C,50000S\n71 1\n", "hello\n", "0S\n", "5S\n 1   2 \n\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := ParseUsage(strings.NewReader(s))
		if err != nil || !u.Quota.limited() {
			return
		}
		again, err := ParseUsage(strings.NewReader(u.Quota.String() + "\n"))
		require.NoError(t, err)
		require.Equal(t, u.Quota, again.Quota)
	})
}
