//go:build !linux

package maildir

import (
	"context"
	"time"
)

// notifier polls where the system does not tell of changes.
type notifier struct{}

func newNotifier(...string) (*notifier, error) { return &notifier{}, nil }

func (n *notifier) poll() time.Duration { return 2 * time.Second }

func (n *notifier) wait(ctx context.Context, poll time.Duration) bool { return sleep(ctx, poll) }

func (n *notifier) close() {}
