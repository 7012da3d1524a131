package mta

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mtakit/mtakit/access"
)

func TestRelayText(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::25")
	for _, tt := range []struct {
		client access.Client
		want   string
	}{
		{access.Client{Addr: v4, Name: "c.test", PTR: "c.test"}, "c.test [192.0.2.7]"},
		{access.Client{Addr: v4, PTR: "c.test", Verified: access.NameForged}, "c.test [192.0.2.7] (may be forged)"},
		{access.Client{Addr: v4, PTR: "c.test", Verified: access.NameTemp}, "c.test [192.0.2.7] (may be forged)"}, // its addresses are not known
		{access.Client{Addr: v4, Verified: access.NameFail}, "[192.0.2.7]"},
		{access.Client{Addr: v6, Verified: access.NameTemp}, "[IPv6:2001:db8:0:0:0:0:0:25]"},
	} {
		assert.Equal(t, tt.want, relayText(tt.client))
	}
}
