package table

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mtakit/mtakit"
)

// Source tells a Set how to load one table.
type Source struct {
	// Name is what Set.Table and reports call it.
	Name string
	// Load reads the table. An error means that it cannot be used, even when a table comes with it.
	Load func(ctx context.Context) (mtakit.Table, error)
	// Files are the names whose replacement or change means that Load has to be called again. A file that does not exist
	// may appear later.
	Files []string
}

// SetOptions tunes a Set. The zero value is ready for use.
type SetOptions struct {
	// CheckInterval bounds how often look-ups let the files be examined: at most one stat(2) per file in that time.
	// Zero means one second; negative means never, so that only Reload and Run do.
	CheckInterval time.Duration
	// RetryInterval is how long a Set waits before it loads again what failed and has not changed since. Zero means 30
	// seconds.
	RetryInterval time.Duration
	// Report is called after each attempt to change the generation: with nil when a new one is in use, otherwise with what
	// is wrong; the last good one stays. Calls come one at a time. Nil ignores it.
	Report func(gen *Generation, err error)
}

// Generation is a state of all tables of a Set at one moment. It is immutable and stays usable after a newer one came.
type Generation struct {
	Number uint64    // from 1
	Since  time.Time // when it came into use

	tables map[string]mtakit.Table
}

// Table returns the table of that name as it is in this generation; nil when the Set has none.
func (g *Generation) Table(name string) mtakit.Table { return g.tables[name] }

// Set keeps several tables loaded and switches them together: all look-ups are answered by one generation, and the next one
// takes its place as a whole when every changed file could be loaded. Tables that are replaced are not closed, since look-ups
// may still use them; those of bdb and cdb free their files once nobody refers to them.
type Set struct {
	sources []Source
	o       SetOptions

	current   atomic.Pointer[Generation]
	nextCheck atomic.Int64 // Unix nanoseconds

	mu      sync.Mutex    // held while loading
	stamps  [][]fileStamp // what the files of each source looked like when it was tried last
	pending []bool        // the try failed
	retryAt time.Time
	err     atomic.Pointer[error] // of the last attempt
}

// NewSet loads all sources. When one fails, the error says which and why, and there is no Set.
func NewSet(ctx context.Context, o *SetOptions, sources ...Source) (*Set, error) {
	s := &Set{sources: sources, stamps: make([][]fileStamp, len(sources)), pending: make([]bool, len(sources))}
	if o != nil {
		s.o = *o
	}
	if s.o.CheckInterval == 0 {
		s.o.CheckInterval = time.Second
	}
	if s.o.RetryInterval == 0 {
		s.o.RetryInterval = 30 * time.Second
	}
	seen := make(map[string]bool)
	for _, src := range sources {
		if seen[src.Name] {
			return nil, fmt.Errorf("two tables are named %q", src.Name)
		}
		seen[src.Name] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx, func(int) bool { return true }); err != nil {
		return nil, err
	}
	return s, nil
}

// Generation returns the present state.
func (s *Set) Generation() *Generation { return s.current.Load() }

// Err returns the error of the last attempt to load; nil when the present generation is up to date.
func (s *Set) Err() error {
	if p := s.err.Load(); p != nil {
		return *p
	}
	return nil
}

// Table returns a table that always answers from the generation in use, or from the one pinned to the context. It is a
// PositionTable. It panics when the Set has no table of that name.
func (s *Set) Table(name string) mtakit.PositionTable {
	if s.current.Load().Table(name) == nil {
		panic("table: the Set has no table " + name)
	}
	return &setTable{s, name}
}

// Reload loads every source whose files changed and, with force, all of them. It returns when the new generation is in use,
// or with the reason why the last good one stays.
func (s *Set) Reload(ctx context.Context, force bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if force {
		return s.load(ctx, func(int) bool { return true })
	}
	return s.check(ctx, true)
}

// Run examines the files every CheckInterval until ctx ends, so that look-ups do not have to. It returns ctx's error.
func (s *Set) Run(ctx context.Context) error {
	every := s.o.CheckInterval
	if every <= 0 {
		every = time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			s.nextCheck.Store(time.Now().Add(2 * every).UnixNano())
			s.mu.Lock()
			_ = s.check(ctx, false) // reported by load
			s.mu.Unlock()
		}
	}
}

// Pin returns a context whose look-ups are all answered by the generation that is in use now, so that several questions about
// one message get answers that belong together.
func (s *Set) Pin(ctx context.Context) context.Context {
	s.poll(ctx)
	return context.WithValue(ctx, pinKey{s}, s.current.Load())
}

// pinKey is the context key of a Set's pinned generation.
type pinKey struct{ s *Set }

// use returns the generation that answers a look-up.
func (s *Set) use(ctx context.Context) *Generation {
	if g, ok := ctx.Value(pinKey{s}).(*Generation); ok {
		return g
	}
	s.poll(ctx)
	return s.current.Load()
}

// poll examines the files when it is time and nobody else does.
func (s *Set) poll(ctx context.Context) {
	if s.o.CheckInterval < 0 {
		return
	}
	now := time.Now()
	next := s.nextCheck.Load()
	if now.UnixNano() < next || !s.nextCheck.CompareAndSwap(next, now.Add(s.o.CheckInterval).UnixNano()) {
		return
	}
	if !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	_ = s.check(ctx, false) // reported by load
}

// check loads what changed. retry repeats failed loads at once. s.mu is held.
func (s *Set) check(ctx context.Context, retry bool) error {
	retry = retry || !time.Now().Before(s.retryAt)
	due := make([]bool, len(s.sources))
	any := false
	for i, src := range s.sources {
		due[i] = changed(src.Files, s.stamps[i]) || s.pending[i] && retry
		any = any || due[i]
	}
	if !any {
		return s.Err()
	}
	for i := range due {
		due[i] = due[i] || s.pending[i]
	}
	return s.load(ctx, func(i int) bool { return due[i] })
}

// load makes a new generation from the sources that due selects and the tables of the last one. s.mu is held.
func (s *Set) load(ctx context.Context, due func(int) bool) error {
	old := s.current.Load()
	gen := &Generation{Number: 1, tables: make(map[string]mtakit.Table, len(s.sources))}
	if old != nil {
		gen.Number = old.Number + 1
	}
	var errs []error
	tried := make(map[int][]fileStamp)
	for i, src := range s.sources {
		if !due(i) {
			gen.tables[src.Name] = old.tables[src.Name]
			continue
		}
		t, stamps, err := loadSource(ctx, src)
		if err != nil && ctx.Err() != nil {
			return ctx.Err() // this caller gave up, which says nothing about the file
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("table %s: %w", src.Name, err))
		}
		tried[i] = stamps
		gen.tables[src.Name] = t
	}
	err := errors.Join(errs...)
	for i, stamps := range tried {
		// With one failure no table is switched, so the good ones have to be loaded again as well.
		s.stamps[i], s.pending[i] = stamps, err != nil
	}
	s.err.Store(&err)
	if err != nil {
		s.retryAt = time.Now().Add(s.o.RetryInterval)
		gen = old
	} else {
		gen.Since = time.Now()
		s.current.Store(gen)
	}
	if s.o.Report != nil {
		s.o.Report(gen, err)
	}
	return err
}

// loadTries bounds how often a source is loaded again because its files changed meanwhile.
const loadTries = 3

// loadSource loads one source and returns what its files looked like before that. Files that change while they are read are
// read again.
func loadSource(ctx context.Context, src Source) (t mtakit.Table, stamps []fileStamp, err error) {
	for range loadTries {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		stamps = stampFiles(src.Files)
		t, err = src.Load(ctx)
		if err == nil && t == nil {
			err = errors.New("the loader returned no table")
		}
		if sameStamps(stamps, stampFiles(src.Files)) {
			break
		}
	}
	return t, stamps, err
}

// setTable is one table of a Set.
type setTable struct {
	s    *Set
	name string
}

func (t *setTable) Lookup(ctx context.Context, key string) (string, bool, error) {
	v, _, ok, err := t.LookupPosition(ctx, key)
	return v, ok, err
}

func (t *setTable) LookupPosition(ctx context.Context, key string) (string, mtakit.Position, bool, error) {
	g := t.s.use(ctx)
	v, pos, ok, err := lookupPosition(ctx, g.tables[t.name], key)
	if !errors.Is(err, ErrChanged) || ctx.Value(pinKey{t.s}) != nil {
		return v, pos, ok, err
	}
	// The file was rewritten in place: what this generation held is lost, so there is no point in waiting for the next check.
	t.s.mu.Lock()
	if t.s.current.Load() == g {
		_ = t.s.check(ctx, false) // reported by load
	}
	t.s.mu.Unlock()
	return lookupPosition(ctx, t.s.use(ctx).tables[t.name], key)
}
