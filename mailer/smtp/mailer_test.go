package smtp_test

import (
	"testing"

	"github.com/mtakit/mtakit/mailer/smtp"
	"github.com/mtakit/mtakit/mailtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDeliver(t *testing.T) {
	t.Parallel()
	srv := mailtest.NewServer(t)
	m := newMailer(t, smtp.Options{})
	for range 3 {
		a := attempt(srv.Addr, text, "bob@sink.test", "carol@sink.test")
		for _, r := range m.Deliver(t.Context(), a) {
			require.NoError(t, r.Err)
			assert.Equal(t, "[127.0.0.1] [127.0.0.1]", r.Relay)
			assert.Contains(t, r.Reply, "Ok: message")
		}
	}
	for _, msg := range srv.Wait(3) {
		assert.Equal(t, text, msg.Text())
		assert.Equal(t, []string{"bob@sink.test", "carol@sink.test"}, msg.To())
		assert.Equal(t, 1, msg.Session)
	}
	t.Log(srv.Dialogue())
}
