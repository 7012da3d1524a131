package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/mtakit/mtakit/internal/filelock"
	"github.com/mtakit/mtakit/internal/vfs"
	"github.com/mtakit/mtakit/queue/qf"
)

// dirDraft is a message on its way into a Dir. A body that is small enough stays in memory until the commit, a larger
// one goes to its data file at once.
type dirDraft struct {
	d    *Dir
	sp   *spool
	env  *Envelope
	id   ID
	data ID // names the data file: id, unless that was taken when the body had to be written
	mem  []byte
	file vfs.File // the data file, once it exists
	size int64
	has8 bool

	done   bool // committed or aborted
	claims []Claim
	err    error // of the commit
}

// Create starts a message. See Store.
func (d *Dir) Create(ctx context.Context, env *Envelope) (Draft, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if env.ID != "" && !ValidID(env.ID) {
		return nil, fmt.Errorf("queue id %q: not 1 to %d letters and digits", env.ID, maxID)
	}
	group := ""
	if len(env.Units) > 0 {
		group = env.Units[0].Group
	}
	sp, err := d.choose(group)
	if err != nil {
		return nil, err
	}
	w := &dirDraft{d: d, sp: sp, env: env, id: env.ID}
	if w.id == "" {
		w.id = newID()
	}
	return w, nil
}

func (w *dirDraft) ID() ID { return w.id }

func (w *dirDraft) Write(p []byte) (int, error) {
	if w.done {
		return 0, fmt.Errorf("%s: write after the end of the draft", w.id)
	}
	if !w.has8 {
		w.has8 = has8Bit(p)
	}
	if w.file == nil {
		if w.size+int64(len(p)) <= w.d.opts.MemoryBody {
			w.mem = append(w.mem, p...)
			w.size += int64(len(p))
			return len(p), nil
		}
		if err := w.spill(); err != nil {
			return 0, storeError(w.id, err)
		}
		w.mem = nil
	}
	n, err := w.file.Write(p)
	w.size += int64(n)
	return n, storeError(w.id, err)
}

func has8Bit(p []byte) bool {
	for len(p) >= 8 {
		if (uint64(p[0])|uint64(p[1])|uint64(p[2])|uint64(p[3])|uint64(p[4])|uint64(p[5])|uint64(p[6])|uint64(p[7]))&0x80 != 0 {
			return true
		}
		p = p[8:]
	}
	for _, c := range p {
		if c >= 0x80 {
			return true
		}
	}
	return false
}

// spill creates the data file and moves there what was in memory. The lock tells Recover that it is in use. When the
// caller chose an id whose file is there, the commit will decide what that means; until then the body goes elsewhere.
func (w *dirDraft) spill() error {
	w.data = w.id
	f, err := w.create()
	if errors.Is(err, fs.ErrExist) {
		w.data = NewID()
		f, err = w.create()
	}
	if err != nil {
		return err
	}
	if !w.done { // more is to come, and it may take its time
		_, err = filelock.TryFlock(f, true)
	}
	if err == nil {
		_, err = f.Write(w.mem)
	}
	if err != nil {
		f.Close()
		return errors.Join(err, w.d.fs.Remove(w.sp.file('d', w.data)))
	}
	w.file = f
	return nil
}

func (w *dirDraft) create() (vfs.File, error) {
	return w.d.fs.OpenFile(w.sp.file('d', w.data), os.O_RDWR|os.O_CREATE|os.O_EXCL, w.d.opts.FileMode)
}

func (w *dirDraft) Open(context.Context) (io.ReadCloser, error) {
	if w.done {
		return nil, fmt.Errorf("%s: %w", w.id, ErrClaimLost)
	}
	m := &message{header: w.env.Header, mem: w.mem}
	if w.file != nil {
		m.mem, m.file, m.keep = nil, io.NewSectionReader(w.file, 0, w.size), true
	}
	return m, nil
}

func (w *dirDraft) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	w.err = fmt.Errorf("%s: draft was aborted", w.id)
	return w.dropBody()
}

func (w *dirDraft) dropBody() error {
	w.mem = nil
	if w.file == nil {
		return nil
	}
	w.file.Close()
	w.file = nil
	if err := w.d.fs.Remove(w.sp.file('d', w.data)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return storeError(w.id, err)
	}
	return nil
}

func (w *dirDraft) Commit(ctx context.Context) error {
	again := w.done
	claims, err := w.CommitClaimed(ctx)
	if again || err != nil {
		return err
	}
	for _, c := range claims {
		c.Release()
	}
	w.claims = nil
	return nil
}

func (w *dirDraft) CommitClaimed(ctx context.Context) ([]Claim, error) {
	if w.done {
		return w.claims, w.err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w.done = true
	w.env.ID = w.id
	w.env.Units = w.d.split(w.env.Units)
	hs, err := w.env.prepare(w.size, w.has8)
	if err == nil && w.file == nil {
		err = w.spill()
	}
	if err == nil {
		// A message with this id has a data file with its name, at least when there is only one place for it.
		if w.data != w.id || len(w.d.spools) > 1 {
			if same, known := w.alreadyThere(ctx); known {
				w.dropBody()
				if !same {
					w.err = fmt.Errorf("%s: %w", w.id, ErrConflict)
				}
				return nil, w.err
			}
		}
		err = w.commit(hs)
	}
	switch {
	case errors.Is(err, ErrUncertain): // a unit that may be there needs it
		w.file.Close()
		w.file = nil
	case err != nil:
		err = errors.Join(err, w.dropBody())
	}
	w.err = storeError(w.id, err)
	return w.claims, w.err
}

// split divides units that have more recipients than their group allows. The first part keeps its place.
func (d *Dir) split(units []UnitSpec) []UnitSpec {
	limit := func(group string) int {
		for _, g := range d.opts.Groups {
			if g.Name == group {
				return g.MaxRcpts
			}
		}
		return d.opts.MaxRcpts
	}
	var out []UnitSpec
	for _, u := range units {
		if n := limit(u.Group); n > 0 {
			for len(u.Rcpts) > n {
				part := u
				part.Rcpts = u.Rcpts[:n:n]
				out = append(out, part)
				u.Rcpts = u.Rcpts[n:]
			}
		}
		out = append(out, u)
	}
	return out
}

// commit writes body and control files and makes them durable; see the package comment for the two orders in which that
// happens.
func (w *dirDraft) commit(hs []qf.Header) (err error) {
	if w.data != w.id { // there is no such message, so the file with its name was left by a crash, or is about to be removed
		for _, sp := range w.d.spools {
			sp.qfSync.keep(w.sp.file('d', w.id))
		}
		if err := w.d.fs.Rename(w.sp.file('d', w.data), w.sp.file('d', w.id)); err != nil {
			return err
		}
		w.data = w.id
	}
	var cs []*dirClaim
	defer func() {
		if err != nil {
			for _, c := range cs {
				err = errors.Join(err, c.undo())
			}
		}
	}()
	for i := range w.env.Units {
		c, err := w.newClaim(i, hs)
		if c != nil {
			cs = append(cs, c)
		}
		if err != nil {
			return err
		}
	}
	if err := w.settleBodies(cs); err != nil {
		return err
	}
	files := []vfs.File{w.file}
	ordered := w.sp.ordered
	for _, c := range cs {
		files = append(files, c.lock)
		ordered = ordered && c.sp == w.sp
	}
	if ordered {
		err = w.nameThenSync(cs, files)
	} else {
		err = w.syncThenName(cs, files)
	}
	if err != nil {
		return err
	}
	w.file.Close()
	w.file = nil
	for _, c := range cs {
		w.d.mu.Lock()
		w.d.held[c.id] = c
		w.d.mu.Unlock()
		w.claims = append(w.claims, c)
	}
	w.mem = nil // the claims have it
	return nil
}

// newClaim makes the unit with index i under its temporary name, with its own link to the body.
func (w *dirDraft) newClaim(i int, hs []qf.Header) (*dirClaim, error) {
	spec := &w.env.Units[i]
	c := &dirClaim{d: w.d, sp: w.sp, id: w.id, letter: 'q', mem: w.mem, dataPath: w.sp.file('d', w.id), fresh: true}
	if w.mem == nil && w.size == 0 {
		c.mem = []byte{}
	}
	if w.size > int64(len(w.mem)) {
		c.mem = nil // the body is in the file
	}
	if spec.Group != w.sp.group {
		sp, err := w.d.choose(spec.Group)
		if err != nil {
			return nil, err
		}
		c.sp = sp
	}
	dataDir := ""
	if i > 0 || c.sp != w.sp {
		var err error
		if i > 0 {
			c.id = newID()
		}
		if dataDir, err = c.linkBody(w.sp, w.id); err != nil {
			return nil, err
		}
	}
	c.file = newFile(w.env, spec, hs)
	c.file.DataDir = dataDir
	if c.file.Quarantine != "" {
		c.letter = 'h'
	}
	if err := c.writeTemp(c.file, nil, func(vfs.File) error { return nil }); err != nil { // commit syncs them all
		return c, err
	}
	c.unit = w.unit(c, spec)
	return c, nil
}

// unit is what newUnit would make of the control file, without the detour.
func (w *dirDraft) unit(c *dirClaim, spec *UnitSpec) *Unit {
	u := newUnit(c.id, c.file, w.env.Header, w.size)
	u.Class = w.env.Class
	u.Created = w.env.Created
	u.Dest, u.Group = spec.Dest, spec.Group
	u.Version = c.version
	return u
}

// linkBody gives the claim's unit its data file: a link to the one of the first unit. When the group's directory is on
// another file system, the link stays beside the original and the control file says so with a d line.
func (c *dirClaim) linkBody(from *spool, id ID) (dataDir string, err error) {
	old := from.file('d', id)
	for range 8 {
		c.dataPath = c.sp.file('d', c.id)
		err = c.d.fs.Link(old, c.dataPath)
		if errors.Is(err, errCrossDevice) && c.sp != from {
			c.dataPath, dataDir = from.file('d', c.id), from.name
			if c.dataPath == old {
				return dataDir, nil
			}
			err = c.d.fs.Link(old, c.dataPath)
		}
		if !errors.Is(err, fs.ErrExist) {
			break
		}
		c.id = newID()
	}
	c.linked = err == nil
	return dataDir, err
}

// syncThenName is right on every file system: what a name stands for is on disk before the name may be. Two rounds of
// syncs, one after the other.
func (w *dirDraft) syncThenName(cs []*dirClaim, files []vfs.File) error {
	err := w.d.syncSpools(cs, func(s *spool) *groupSync {
		if s.dfSync == s.qfSync {
			return nil
		}
		return s.dfSync
	})
	if err != nil {
		return err
	}
	if w.d.whole != nil {
		err = w.d.whole.wait()
	} else {
		err = w.d.syncFiles(files, nil)
	}
	if err != nil {
		return err
	}
	if err := w.name(cs); err != nil {
		return err
	}
	return w.d.syncSpools(cs, func(s *spool) *groupSync { return s.qfSync })
}

// nameThenSync is for a file system that keeps the order of changes: the content is written out, the names are given, and
// then everything is synced at once, so that one turn of the file system's journal is enough for all. Nothing is
// acknowledged before each file and each directory was synced; the order that the file system keeps is only needed to
// not find a name without its content after a crash before that.
func (w *dirDraft) nameThenSync(cs []*dirClaim, files []vfs.File) error {
	if err := w.d.writeOut(files); err != nil {
		return err
	}
	if err := w.name(cs); err != nil {
		return err
	}
	if w.d.whole != nil {
		return w.d.whole.wait()
	}
	dirs := []*groupSync{w.sp.qfSync}
	if w.sp.dfSync != w.sp.qfSync {
		dirs = append(dirs, w.sp.dfSync)
	}
	return w.d.syncFiles(files, dirs)
}

// name gives the control files their names.
func (w *dirDraft) name(cs []*dirClaim) error {
	for _, c := range cs {
		if err := w.d.fs.Rename(c.sp.file('t', c.id), c.path()); err != nil {
			return err
		}
		c.visible = true
	}
	return nil
}

// settleBodies removes the first data file when no unit uses it.
func (w *dirDraft) settleBodies(cs []*dirClaim) error {
	own := w.sp.file('d', w.id)
	for _, c := range cs {
		if c.dataPath == own {
			return nil
		}
	}
	return w.d.fs.Remove(own)
}

// syncSpools syncs one directory of each spool that the claims are in.
func (d *Dir) syncSpools(cs []*dirClaim, dir func(*spool) *groupSync) error {
	var last *groupSync
	for _, c := range cs {
		s := dir(c.sp)
		if s == nil || s == last {
			continue
		}
		if err := d.syncDir(s); err != nil {
			return err
		}
		last = s
	}
	return nil
}

// alreadyThere looks for an entry with an ID that the caller chose, and compares it.
func (w *dirDraft) alreadyThere(ctx context.Context) (same, known bool) {
	for _, sp := range w.d.spools {
		for _, letter := range []byte("qh") {
			e, err := w.d.read(sp, letter, w.id)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return false, true
			}
			return w.equal(ctx, e), true
		}
	}
	return false, false
}

func (w *dirDraft) equal(ctx context.Context, e *entry) bool {
	u := e.unit
	spec := w.env.Units[0]
	sender := w.env.Sender
	if spec.Sender != "" {
		sender = spec.Sender
	}
	if u.Sender != sender || len(u.Rcpts) != len(spec.Rcpts) {
		return false
	}
	for i, r := range spec.Rcpts {
		if u.Rcpts[i].Addr != r.Addr {
			return false
		}
	}
	mine := &message{header: w.env.Header, mem: w.mem}
	if w.file != nil {
		mine.mem, mine.file, mine.keep = nil, io.NewSectionReader(w.file, 0, w.size), true
	}
	theirs, err := e.open(w.d)
	if err != nil {
		return false
	}
	defer theirs.Close()
	return sameContent(mine, theirs)
}
