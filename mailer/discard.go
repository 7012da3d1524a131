package mailer

import (
	"context"

	"github.com/mtakit/mtakit"
)

// Discard accepts every message and keeps none, like sendmail's discard mailer.
var Discard mtakit.Mailer = mtakit.MailerFunc(func(_ context.Context, a *mtakit.Attempt) []mtakit.Result {
	return make([]mtakit.Result, len(a.Rcpts))
})

// Func makes a Mailer of a function that delivers to one recipient; it is called for several recipients at once.
// Errors without a status are temporary.
func Func(deliver func(ctx context.Context, a *mtakit.Attempt, r *mtakit.Recipient) error) mtakit.Mailer {
	return mtakit.MailerFunc(func(ctx context.Context, a *mtakit.Attempt) []mtakit.Result {
		return each(ctx, a, func(ctx context.Context, r *mtakit.Recipient) error {
			return verdict(deliver(ctx, a, r), false)
		})
	})
}
