package queue

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// Store keeps messages until they are delivered. Dir is the one for a single machine, in sendmail's file format; a
// clustered one must keep the same promises. queuetest.TestStore holds an implementation to every sentence below.
//
// A message is one accepted transaction. A unit is that message for one group of recipients that share a fate,
// normally one destination: it is the unit that is claimed, tried and rescheduled. In the spool a unit is one
// control file, and the units of a message share its body by hard links.
//
// All methods may be called by several goroutines at once, and by several processes on the same store.
type Store interface {
	// Create starts a message. Nothing is visible to anybody until the draft is committed, and a draft that is dropped,
	// by Abort or by a crash, leaves at most garbage that the store removes later. The store keeps env and reads it
	// at the commit: the caller may go on filling it in until then, and must not touch it afterwards. ErrFull
	// when there is no room.
	Create(ctx context.Context, env *Envelope) (Draft, error)

	// Claim takes units for exclusive use. With req.IDs it takes those, without asking whether they are due, and leaves
	// out those that are gone, held, quarantined or claimed by another. Without, it takes up to req.Max due units, lowest
	// Priority value first, and waits up to req.Wait for one. No claims and no error mean that nothing was to be had.
	Claim(ctx context.Context, req ClaimRequest) ([]Claim, error)

	// Get returns one unit, whether or not somebody has claimed it. ErrNotFound when there is none.
	Get(ctx context.Context, id ID) (*Unit, error)

	// List yields the units that match f, in no promised order, without claiming them. A unit that cannot be read is
	// yielded as a nil *Unit with an error that names it, and the listing goes on. Units that come or go while the
	// listing runs may or may not appear.
	List(ctx context.Context, f Filter) iter.Seq2[*Unit, error]

	// Admin applies a to every unit that matches f, each under a claim of its own, so that no change is lost to an
	// attempt that runs at the same time: such units count as Busy and stay as they are. It goes on after a failure of one
	// unit; the errors are joined.
	Admin(ctx context.Context, f Filter, a Action) (AdminResult, error)
}

// Draft is a message on its way in. Its methods are for one goroutine.
//
// The header travels in Envelope.Header and the body through Write, because that is how sendmail stores them; both
// have LF line ends and no dot stuffing. HeaderSplitter divides a stream of a whole message.
type Draft interface {
	// ID is the name of the first unit, known before anything is written so that it can stand in a Received line.
	ID() ID

	// Write appends to the body. ErrFull when there is no room.
	io.Writer

	// Open reads what a mailer would get: the header, an empty line, the body as far as it is written. It is for
	// deliveries before the commit. The reader ends with the draft.
	Open(ctx context.Context) (io.ReadCloser, error)

	// Commit makes the message durable and visible. When it returns nil, all units are there, and body and envelope survive
	// a power failure; a crash before that may leave some of the units, which nobody has acknowledged. After an error nothing is queued, except with ErrUncertain. An ID that the caller chose and that is
	// there already is the same message: nil when it is equal, ErrConflict when it is not. A second Commit of the same
	// draft returns what the first one did.
	Commit(ctx context.Context) error

	// CommitClaimed is Commit that hands out the claims on the new units, one for each Envelope.Units in their order, so
	// that a first attempt needs neither a scan nor a read of the disk. After nil the caller owns the claims.
	CommitClaimed(ctx context.Context) ([]Claim, error)

	// Abort forgets the message and frees what it used. After a commit it does nothing.
	Abort() error
}

// Claim is the exclusive right to try and to change one unit. Its methods are for one goroutine, except Valid. It ends
// with Complete, Reschedule, Hold or Release, or when the store takes it back; from then on every method fails with
// ErrClaimLost and changes nothing, and Release does nothing.
type Claim interface {
	// Unit is the unit as it was last written. It is shared: change it in Update only.
	Unit() *Unit

	// Open reads header, empty line and body, as Draft.Open does. It may be called again and from several goroutines; the
	// caller closes the reader. ErrNotFound when the body is missing.
	Open(ctx context.Context) (io.ReadCloser, error)

	// Valid reports whether the claim still stood a moment ago, without waiting for anything.
	Valid() bool

	// Update changes the unit durably and keeps the claim. f gets a copy, which becomes the unit when the write has
	// succeeded; an error leaves the unit as it was, except ErrUncertain. Recipients that f removes from Rcpts are settled.
	// f may change Rcpts, Status, Flags, Attempts, LastAttempt, Priority and Dest; the rest is fixed.
	Update(ctx context.Context, f func(*Unit)) error

	// Reschedule is Update (f may be nil) that also sets the time of the next attempt and ends the claim.
	Reschedule(ctx context.Context, due time.Time, f func(*Unit)) error

	// Fork makes a new unit of the same message, with the same times and its own recipients, and claims it. It is durable
	// when Fork returns nil; the recipients stay in this unit until an Update removes them.
	Fork(ctx context.Context, spec UnitSpec) (Claim, error)

	// Complete removes the unit: no recipient is left. The body goes with the last unit. It need not be durable when
	// Complete returns: after a power failure the unit may be there again and is then delivered twice.
	Complete(ctx context.Context) error

	// Hold sets the unit aside as Held or Quarantined with a reason, durably, or brings it back as Ready, and ends the claim.
	Hold(ctx context.Context, s State, reason string) error

	// Release ends the claim without changing the unit.
	Release()
}

// Errors of a Store. They are found with errors.Is and arrive wrapped with the queue id.
var (
	// ErrNotFound: no unit has this ID, or it has no body.
	ErrNotFound = errors.New("not in the queue")
	// ErrConflict: another message has this ID already.
	ErrConflict = errors.New("queue id is taken by another message")
	// ErrClaimLost: the claim has ended; nothing was changed.
	ErrClaimLost = errors.New("claim is no longer held")
	// ErrUncertain: it may have happened. Answer 451 and expect a duplicate, never a loss.
	ErrUncertain = errors.New("outcome is uncertain")
	// ErrFull: no room (ENOSPC, EDQUOT, too many open files, too few free blocks). Answer 452 4.3.1.
	ErrFull = errors.New("queue is full")
	// ErrUnavailable: the store cannot be reached or written. Answer 451.
	ErrUnavailable = errors.New("queue is not available")
	// ErrDamaged: the unit cannot be understood. It is set aside, never dropped.
	ErrDamaged = errors.New("damaged queue entry")
)

// ID names a unit within its store, and a message by the ID of its first unit. In the spool it is sendmail's queue id:
// letters and digits, at most 18.
type ID string

// ClaimRequest says which units Claim takes.
type ClaimRequest struct {
	IDs  []ID          // exactly these, due or not
	Max  int           // without IDs: at most so many; zero means 1
	Wait time.Duration // without IDs: how long to wait for a first one; zero means not at all

	// Quarantined lets IDs take held and quarantined units, too.
	Quarantined bool
}

// State is what a unit waits for.
type State uint8

// States of a unit. The spool tells Ready from Deferred by the number of attempts, and keeps Held as a quarantine
// whose reason begins with "hold".
const (
	Ready       State = iota // never tried
	Deferred                 // tried, waits for its next attempt
	Held                     // an operator set it aside
	Quarantined              // a policy set it aside
	Lost                     // damaged: only an operator can help
)

// String returns the name in lower case.
func (s State) String() string {
	return [...]string{"ready", "deferred", "held", "quarantined", "lost"}[s]
}

// AdminResult counts what Admin met.
type AdminResult struct {
	Matched int // units that matched
	Changed int
	Busy    int // claimed by somebody else, left alone
	Failed  int // see the error
}
