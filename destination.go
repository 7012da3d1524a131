package mtakit

// Destination is what a table says: a closed grammar. The variants are Mailbox, User, File, Pipe, Include and
// Fail; String prints the text form that ParseDestination reads.
type Destination interface {
	String() string
	destination()
}

// Mailbox is an address, local or remote, that is resolved again.
type Mailbox struct{ Addr Address }

// User is \name: a local user who is not aliased or forwarded any further.
type User struct{ Addr Address }

// File is an absolute path to append to.
type File struct{ Path string }

// Pipe is a command to hand the message to, without the bar.
type Pipe struct{ Command string }

// Include is :include:path, a file that lists more destinations.
type Include struct{ Path string }

// Fail is a verdict: error:5.1.1:550 User unknown. A table's own text, or the reason why an element could not be
// understood.
type Fail struct {
	Code   int
	Status Status
	Text   string
	Exit   int   // see Error.Exit
	Route  Route // sendmail's error triple as the table wrote it: the word or status, and the text; for explanations
}

func (Mailbox) destination() {}
func (User) destination()    {}
func (File) destination()    {}
func (Pipe) destination()    {}
func (Include) destination() {}
func (Fail) destination()    {}
