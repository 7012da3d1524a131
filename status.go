package mtakit

import (
	"fmt"
	"strconv"
	"strings"
)

// Status is an enhanced mail system status code (RFC 3463): class, subject and detail packed as
// class*1_000_000 + subject*1_000 + detail, so that 5.1.1 is 5_001_001. It is a plain number: a real
// constant, comparable and usable in a switch. The zero value means "no status is known".
//
// The constants below are the IANA registry of enumerated codes. Where a subject and detail are
// registered for several classes, the constant carries the class in which it usually appears;
// AsTemporary, AsPermanent and AsSuccess move it to another.
type Status uint32

// Classes of a Status (RFC 3463 section 3).
const (
	ClassSuccess   = 2
	ClassTemporary = 4
	ClassPermanent = 5
)

// NewStatus packs class, subject and detail. It does not check the values; see Status.Valid.
func NewStatus(class, subject, detail int) Status {
	return Status(class*1_000_000 + subject*1_000 + detail)
}

// ParseStatus reads the form "5.1.1": a class of 2, 4 or 5 and two numbers of one to three digits without
// leading zeros (RFC 3463 section 2).
func ParseStatus(s string) (Status, error) {
	part := strings.Split(s, ".")
	if len(part) != 3 {
		return 0, fmt.Errorf("status %q: want class.subject.detail", s)
	}
	var n [3]int
	for i, p := range part {
		v, err := strconv.ParseUint(p, 10, 16)
		if err != nil || len(p) > 3 || len(p) > 1 && p[0] == '0' {
			return 0, fmt.Errorf("status %q: %q is not a number of one to three digits", s, p)
		}
		n[i] = int(v)
	}
	st := NewStatus(n[0], n[1], n[2])
	if !st.Valid() {
		return 0, fmt.Errorf("status %q: class is not 2, 4 or 5", s)
	}
	return st, nil
}

// Class returns the first number: 2, 4 or 5, or 0 for the zero Status.
func (s Status) Class() int { return int(s / 1_000_000) }

// Subject returns the second number.
func (s Status) Subject() int { return int(s / 1_000 % 1_000) }

// Detail returns the third number.
func (s Status) Detail() int { return int(s % 1_000) }

// Valid reports whether the class is one that RFC 3463 defines.
func (s Status) Valid() bool {
	c := s.Class()
	return c == ClassSuccess || c == ClassTemporary || c == ClassPermanent
}

// AsTemporary returns the same subject and detail in class 4.
func (s Status) AsTemporary() Status { return ClassTemporary*1_000_000 + s%1_000_000 }

// AsPermanent returns the same subject and detail in class 5.
func (s Status) AsPermanent() Status { return ClassPermanent*1_000_000 + s%1_000_000 }

// AsSuccess returns the same subject and detail in class 2.
func (s Status) AsSuccess() Status { return ClassSuccess*1_000_000 + s%1_000_000 }

// String prints the form "5.1.1"; the zero Status prints as "".
func (s Status) String() string {
	if s == 0 {
		return ""
	}
	return strconv.Itoa(s.Class()) + "." + strconv.Itoa(s.Subject()) + "." + strconv.Itoa(s.Detail())
}

// Undefined status of each class (RFC 3463 section 3.1).
const (
	StatusSuccess   Status = 2_000_000 // 2.0.0
	StatusTemporary Status = 4_000_000 // 4.0.0
	StatusPermanent Status = 5_000_000 // 5.0.0
)

// Address status (RFC 3463 section 3.2; RFC 3886, RFC 7505).
const (
	StatusAddress             Status = 5_001_000 // 5.1.0 other address status
	StatusBadMailbox          Status = 5_001_001 // 5.1.1 bad destination mailbox address
	StatusBadSystem           Status = 5_001_002 // 5.1.2 bad destination system address
	StatusMailboxSyntax       Status = 5_001_003 // 5.1.3 bad destination mailbox address syntax
	StatusAmbiguous           Status = 5_001_004 // 5.1.4 destination mailbox address ambiguous
	StatusAddressValid        Status = 2_001_005 // 2.1.5 destination address valid
	StatusMoved               Status = 5_001_006 // 5.1.6 destination mailbox has moved, no forwarding address
	StatusSenderSyntax        Status = 5_001_007 // 5.1.7 bad sender's mailbox address syntax
	StatusSenderSystem        Status = 5_001_008 // 5.1.8 bad sender's system address
	StatusRelayedNonCompliant Status = 2_001_009 // 2.1.9 message relayed to non-compliant mailer
	StatusNullMX              Status = 5_001_010 // 5.1.10 recipient address has null MX
)

// Mailbox status (RFC 3463 section 3.3).
const (
	StatusMailbox         Status = 5_002_000 // 5.2.0 other or undefined mailbox status
	StatusMailboxDisabled Status = 5_002_001 // 5.2.1 mailbox disabled, not accepting messages
	StatusMailboxFull     Status = 5_002_002 // 5.2.2 mailbox full
	StatusMailboxTooBig   Status = 5_002_003 // 5.2.3 message length exceeds administrative limit
	StatusListExpansion   Status = 5_002_004 // 5.2.4 mailing list expansion problem
)

// Mail system status (RFC 3463 section 3.4; RFC 6710).
const (
	StatusSystem          Status = 5_003_000 // 5.3.0 other or undefined mail system status
	StatusSystemFull      Status = 4_003_001 // 4.3.1 mail system full
	StatusNotAccepting    Status = 5_003_002 // 5.3.2 system not accepting network messages
	StatusNotCapable      Status = 5_003_003 // 5.3.3 system not capable of selected features
	StatusTooBig          Status = 5_003_004 // 5.3.4 message too big for system
	StatusMisconfigured   Status = 5_003_005 // 5.3.5 system incorrectly configured
	StatusPriorityChanged Status = 2_003_006 // 2.3.6 requested priority was changed
)

// Network and routing status (RFC 3463 section 3.5).
const (
	StatusNetwork       Status = 4_004_000 // 4.4.0 other or undefined network or routing status
	StatusNoAnswer      Status = 4_004_001 // 4.4.1 no answer from host
	StatusBadConnection Status = 4_004_002 // 4.4.2 bad connection
	StatusDirectory     Status = 4_004_003 // 4.4.3 directory server failure
	StatusCannotRoute   Status = 5_004_004 // 5.4.4 unable to route
	StatusCongestion    Status = 4_004_005 // 4.4.5 mail system congestion
	StatusLoop          Status = 5_004_006 // 5.4.6 routing loop detected
	StatusExpired       Status = 5_004_007 // 5.4.7 delivery time expired
)

// Mail delivery protocol status (RFC 3463 section 3.6; RFC 4954).
const (
	StatusProtocol         Status = 5_005_000 // 5.5.0 other or undefined protocol status
	StatusInvalidCommand   Status = 5_005_001 // 5.5.1 invalid command
	StatusSyntax           Status = 5_005_002 // 5.5.2 syntax error
	StatusTooManyRcpts     Status = 5_005_003 // 5.5.3 too many recipients
	StatusInvalidArguments Status = 5_005_004 // 5.5.4 invalid command arguments
	StatusProtocolVersion  Status = 5_005_005 // 5.5.5 wrong protocol version
	StatusAuthLineTooLong  Status = 5_005_006 // 5.5.6 authentication exchange line is too long
)

// Message content or media status (RFC 3463 section 3.7; RFC 4468, RFC 6531).
const (
	StatusContent                Status = 5_006_000 // 5.6.0 other or undefined media error
	StatusMediaNotSupported      Status = 5_006_001 // 5.6.1 media not supported
	StatusConversionProhibited   Status = 5_006_002 // 5.6.2 conversion required and prohibited
	StatusConversionNotSupported Status = 5_006_003 // 5.6.3 conversion required but not supported
	StatusConversionWithLoss     Status = 2_006_004 // 2.6.4 conversion with loss performed
	StatusConversionFailed       Status = 5_006_005 // 5.6.5 conversion failed
	StatusContentUnavailable     Status = 5_006_006 // 5.6.6 message content not available
	StatusNonASCIIAddress        Status = 5_006_007 // 5.6.7 non-ASCII addresses not permitted for that recipient
	StatusUTF8ReplyRequired      Status = 5_006_008 // 5.6.8 UTF-8 string reply is required, but not permitted
	StatusUTF8HeaderTransfer     Status = 5_006_009 // 5.6.9 UTF-8 header message cannot be transferred
)

// Security or policy status (RFC 3463 section 3.8; RFC 4954, 5248, 6710, 7293, 7372, 7505, 8617, 8689).
const (
	StatusSecurity              Status = 5_007_000 // 5.7.0 other or undefined security status
	StatusNotAuthorized         Status = 5_007_001 // 5.7.1 delivery not authorized, message refused
	StatusListProhibited        Status = 5_007_002 // 5.7.2 mailing list expansion prohibited
	StatusSecurityConversion    Status = 5_007_003 // 5.7.3 security conversion required but not possible
	StatusSecurityNotSupported  Status = 5_007_004 // 5.7.4 security features not supported
	StatusCryptoFailure         Status = 5_007_005 // 5.7.5 cryptographic failure
	StatusCryptoNotSupported    Status = 5_007_006 // 5.7.6 cryptographic algorithm not supported
	StatusIntegrity             Status = 5_007_007 // 5.7.7 message integrity failure
	StatusBadCredentials        Status = 5_007_008 // 5.7.8 authentication credentials invalid
	StatusWeakMechanism         Status = 5_007_009 // 5.7.9 authentication mechanism is too weak
	StatusEncryptionNeeded      Status = 5_007_010 // 5.7.10 encryption needed
	StatusEncryptionForAuth     Status = 5_007_011 // 5.7.11 encryption required for requested mechanism
	StatusPasswordTransition    Status = 4_007_012 // 4.7.12 a password transition is needed
	StatusAccountDisabled       Status = 5_007_013 // 5.7.13 user account disabled
	StatusTrustRequired         Status = 5_007_014 // 5.7.14 trust relationship required
	StatusPriorityTooLow        Status = 5_007_015 // 5.7.15 priority level is too low
	StatusTooBigForPriority     Status = 5_007_016 // 5.7.16 message is too big for the specified priority
	StatusMailboxOwnerChanged   Status = 5_007_017 // 5.7.17 mailbox owner has changed
	StatusDomainOwnerChanged    Status = 5_007_018 // 5.7.18 domain owner has changed
	StatusRRVSUntestable        Status = 5_007_019 // 5.7.19 RRVS test cannot be completed
	StatusNoPassingDKIM         Status = 5_007_020 // 5.7.20 no passing DKIM signature found
	StatusNoAcceptableDKIM      Status = 5_007_021 // 5.7.21 no acceptable DKIM signature found
	StatusNoAuthorDKIM          Status = 5_007_022 // 5.7.22 no valid author-matched DKIM signature found
	StatusSPFFailed             Status = 5_007_023 // 5.7.23 SPF validation failed
	StatusSPFError              Status = 5_007_024 // 5.7.24 SPF validation error
	StatusReverseDNS            Status = 5_007_025 // 5.7.25 reverse DNS validation failed
	StatusMultipleAuthFailed    Status = 5_007_026 // 5.7.26 multiple authentication checks failed
	StatusSenderNullMX          Status = 5_007_027 // 5.7.27 sender address has null MX
	StatusMailFlood             Status = 5_007_028 // 5.7.28 mail flood detected
	StatusARCFailure            Status = 5_007_029 // 5.7.29 ARC validation failure
	StatusRequireTLSUnsupported Status = 5_007_030 // 5.7.30 REQUIRETLS support required
)
