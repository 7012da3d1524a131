package maildir

import (
	"context"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// settle is how long to wait for more after a change: deliveries come in bunches.
const settle = 20 * time.Millisecond

// notifier waits for changes of directories, by inotify(7).
type notifier struct {
	f       *os.File
	changed chan struct{}
	done    chan struct{}
}

func newNotifier(dirs ...string) (*notifier, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	n := &notifier{f: os.NewFile(uintptr(fd), "inotify"), changed: make(chan struct{}, 1), done: make(chan struct{})}
	for _, dir := range dirs {
		// A delivery by link shows as creation, one by rename as a move.
		const mask = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_ONLYDIR
		if _, err := unix.InotifyAddWatch(fd, dir, mask); err != nil {
			_ = n.f.Close()
			return nil, &os.PathError{Op: "watch", Path: dir, Err: err}
		}
	}
	go n.run()
	return n, nil
}

// run ends when close closes the file. What the events say does not matter: the directories are read again.
func (n *notifier) run() {
	defer close(n.done)
	buf := make([]byte, 16<<10)
	for {
		if _, err := n.f.Read(buf); err != nil {
			if err == io.EOF || os.IsTimeout(err) {
				continue
			}
			return
		}
		select {
		case n.changed <- struct{}{}:
		default:
		}
	}
}

func (n *notifier) poll() time.Duration { return time.Minute }

// wait returns when something changed, or after poll; false when ctx ended.
func (n *notifier) wait(ctx context.Context, poll time.Duration) bool {
	t := time.NewTimer(poll)
	defer t.Stop()
	select {
	case <-n.changed:
		return sleep(ctx, settle)
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (n *notifier) close() {
	_ = n.f.Close()
	<-n.done
}
