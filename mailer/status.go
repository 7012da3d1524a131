package mailer

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/maildir"
	"github.com/mtakit/mtakit/mbox"
)

// verdict turns an error of a local delivery into one with a status. What is not known is temporary.
func verdict(err error, permanentQuota bool) error {
	var e *mtakit.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return err
	case errors.Is(err, mbox.ErrTooBig), errors.Is(err, maildir.ErrQuota), errors.Is(err, syscall.EFBIG):
		e = &mtakit.Error{Code: 552, Status: mtakit.StatusMailboxFull, Text: "Mailbox full"}
	case errors.Is(err, syscall.EDQUOT) && permanentQuota:
		e = &mtakit.Error{Code: 552, Status: mtakit.StatusMailboxFull, Text: "Disk quota exceeded"}
	case errors.Is(err, syscall.EDQUOT):
		e = &mtakit.Error{Code: 452, Status: mtakit.StatusMailboxFull.AsTemporary(), Text: "Disk quota exceeded"}
	case errors.Is(err, syscall.ENOSPC):
		e = &mtakit.Error{Code: 452, Status: mtakit.StatusSystemFull, Text: "Insufficient system storage"}
	case errors.Is(err, mbox.ErrLocked):
		e = &mtakit.Error{Code: 450, Status: mtakit.StatusMailbox.AsTemporary(), Text: "Mailbox is locked"}
	case errors.Is(err, mbox.ErrUnsafe):
		e = &mtakit.Error{Code: 451, Status: mtakit.StatusMailbox.AsTemporary(), Text: "Mailbox cannot be used"}
	case errors.Is(err, fs.ErrPermission):
		e = &mtakit.Error{Code: 451, Status: mtakit.StatusMailbox.AsTemporary(), Text: "Mailbox cannot be written"}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e = &mtakit.Error{Code: 451, Status: mtakit.StatusSystem.AsTemporary(), Text: "Delivery was interrupted"}
	default:
		e = &mtakit.Error{Code: 451, Status: mtakit.StatusSystem.AsTemporary(), Text: "Local delivery failed"}
	}
	e.Err = err
	return e
}

// Exit codes of sysexits(3).
const (
	exUsage       = 64
	exDataErr     = 65
	exNoInput     = 66
	exNoUser      = 67
	exNoHost      = 68
	exUnavailable = 69
	exSoftware    = 70
	exOSErr       = 71
	exOSFile      = 72
	exCantCreat   = 73
	exIOErr       = 74
	exTempFail    = 75
	exProtocol    = 76
	exNoPerm      = 77
	exConfig      = 78
)

// sysexit is what sendmail makes of a mailer's exit code: reply code and text of its table of messages, and the
// status that it puts into logs and reports.
type sysexit struct {
	code   int
	status mtakit.Status
	text   string
}

var sysexits = map[int]sysexit{
	exUsage:       {500, 5_005_004, "Command line usage error"},
	exDataErr:     {501, 5_005_002, "Data format error"},
	exNoInput:     {550, 5_003_000, "Cannot open input"},
	exNoUser:      {550, 5_001_001, "User unknown"},
	exNoHost:      {550, 5_001_002, "Host unknown"},
	exUnavailable: {554, 5_005_000, "Service unavailable"},
	exSoftware:    {554, 5_005_000, "Internal error"},
	exOSErr:       {451, 4_005_000, "Operating system error"},
	exOSFile:      {554, 5_005_000, "System file missing"},
	exCantCreat:   {550, 5_003_000, "Can't create output"},
	exIOErr:       {451, 4_005_000, "I/O error"},
	exTempFail:    {450, 4_002_000, ""}, // the text names the mailer
	exProtocol:    {554, 5_005_000, "Remote protocol error"},
	exNoPerm:      {550, 5_003_000, "Insufficient permission"},
	exConfig:      {554, 5_005_000, "Local configuration error"},
}
