//go:build !unix

package mailer

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
)

// setRights refuses: there are no process groups here that could be ended as one, and no users to run a command as.
func setRights(*exec.Cmd, rights) error {
	return fmt.Errorf("delivery to programs on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}

func killGroup(p *os.Process) error { return p.Kill() }

func canEnter(string) error { return errors.ErrUnsupported }
