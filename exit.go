package mtakit

// Exit statuses of sysexits.h.
const (
	exitUsage       = 64
	exitDataErr     = 65
	exitNoUser      = 67
	exitNoHost      = 68
	exitUnavailable = 69
	exitSoftware    = 70
	exitOSErr       = 71
	exitTempFail    = 75
	exitProtocol    = 76
	exitNoPerm      = 77
	exitConfig      = 78
)

// ExitStatus returns the exit status of sysexits.h that stands for the verdict: Exit if set, else what sendmail
// derives from the enhanced status, 75 for temporary verdicts.
func (e *Error) ExitStatus() int {
	if e.Exit != 0 {
		return e.Exit
	}
	if e.Temporary() {
		return exitTempFail
	}
	return e.EnhancedStatus().ExitStatus()
}

// ExitStatus returns the exit status of sysexits.h that stands for s. The table is sendmail's: it is about what a
// user can do about the failure, and not one to one.
func (s Status) ExitStatus() int {
	switch s.Class() {
	case ClassTemporary:
		return exitTempFail
	case ClassSuccess:
		return exitUsage // a success is no verdict that a failure may carry
	}
	subject, detail := s.Subject(), s.Detail()
	switch subject {
	case 1:
		switch detail {
		case 1, 6:
			return exitNoUser
		case 2, 8:
			return exitNoHost
		case 3:
			return exitUsage
		case 5:
			return 0
		}
	case 3:
		return exitOSErr
	case 4:
		if detail == 6 {
			return exitConfig
		}
	case 5:
		if detail == 4 {
			return exitProtocol
		}
	case 7:
		return exitDataErr
	}
	return exitUnavailable
}
