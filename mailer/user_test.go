package mailer

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPlainUser(t *testing.T) {
	for user, want := range map[string]string{
		"ann":                          "ann",
		`\ann`:                         "ann",
		`"|vacation ann"`:              "|vacation ann",
		`|"vacation ann"`:              "|vacation ann",
		`"|sh -c \"echo \\\\ x\""`:     `|sh -c "echo \\ x"`,
		`"/var/mail/old mail"`:         "/var/mail/old mail",
		`"ends in a backslash\`:        "ends in a backslash",
		"|plain 'single quotes' $HOME": "|plain 'single quotes' $HOME",
	} {
		assert.Equal(t, want, plainUser(user), user)
	}
}
