package bdb

import (
	"cmp"
	"encoding/binary"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mtakit/mtakit/table/internal/recstore"
)

// btreePlan says which record stands on which leaf, and how the tree above looks.
type btreePlan struct {
	order  []ordered
	leaves []uint32    // where each leaf begins in order, and the end
	long   uint32      // pages for long items of leaves
	seps   [][]byte    // separators with an overflow chain of their own, in the order of the chains
	levels [][][]entry // internal pages, the lowest level first; the last level is the root alone
}

// ordered is a record in key order, with what sorting and cutting need to know of it, so that they need not fetch it.
type ordered struct {
	prefix uint64 // eight bytes of the key, zero where it has ended
	rec    recstore.Ref
	info   uint32 // what the record takes on a leaf, shifted by restBits, and how much is left of the key with the prefix
}

// restBits is the size of the part of ordered.info that counts bytes of a key. It ends at restMore: there are bytes behind the prefix.
const (
	restBits = 4
	restMore = 9
)

func (o ordered) rest() uint32 { return o.info & (1<<restBits - 1) }
func (o ordered) size() int    { return int(o.info >> restBits) }

// entry is an entry of an internal page: the keys of child are not less than sep.
type entry struct {
	child uint32
	sep   []byte
	chain uint32 // where sep stands when it is long
}

// writeBtree writes a btree file: metadata, root, leaves, long items, long separators, internal pages upwards.
func (w *pageWriter) writeBtree() error {
	p := w.planBtree()
	leaves := uint32(len(p.leaves) - 1)
	w.appendix = 2 + leaves
	internal := w.appendix + p.long
	for _, s := range p.seps {
		internal += w.chainPages(len(s))
	}
	last := internal - 1
	for _, level := range p.levels[:max(len(p.levels), 1)-1] {
		last += uint32(len(level))
	}
	if leaves == 1 {
		w.appendix = 2
		last = 1 + p.long
	}
	flags := uint32(0)
	if w.dups {
		flags = 1
	}
	b := w.meta(magicBtree, typeBtreeMeta, flags, last)
	binary.LittleEndian.PutUint32(b[76:], 2)    // keys per page at least
	binary.LittleEndian.PutUint32(b[84:], 0x20) // padding of fixed-length records
	binary.LittleEndian.PutUint32(b[88:], 1)    // root
	if err := w.done(); err != nil {
		return err
	}
	if leaves > 1 {
		if err := w.internalPage(p.levels[len(p.levels)-1][0], byte(len(p.levels)+1)); err != nil {
			return err
		}
	}
	if err := w.writeLeaves(p); err != nil {
		return err
	}
	if err := w.writeLong(); err != nil {
		return err
	}
	for _, s := range p.seps {
		if err := w.writeChain(s); err != nil {
			return err
		}
	}
	for i, level := range p.levels[:max(len(p.levels), 1)-1] {
		for _, page := range level {
			if err := w.internalPage(page, byte(i+2)); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeLeaves writes the leaves, of which the first has the present number.
func (w *pageWriter) writeLeaves(p *btreePlan) error {
	first, last := w.no, w.no+uint32(len(p.leaves))-2
	spread := spread{n: uint32(len(p.leaves)) - 1, alone: p.long > 0}
	spread.first = func(leaf uint32) uint32 { return first + leaf }
	spread.fill = func(w *pageWriter, from, to uint32) error { return w.someLeaves(p, from, to, first, last) }
	return spread.run(w)
}

// someLeaves writes some leaves; first and last are the page numbers of the outermost.
func (w *pageWriter) someLeaves(p *btreePlan, from, to, first, last uint32) error {
	seen := byte(0)
	for i := from; i < to; i++ {
		prev, next := w.no-1, w.no+1
		if w.no == first {
			prev = 0
		}
		if w.no == last {
			next = 0
		}
		w.begin(typeBtreeLeaf, 1, prev, next)
		pairs := p.order[p.leaves[i]:p.leaves[i+1]]
		for _, o := range pairs {
			seen ^= w.recs.Touch(o.rec)
		}
		for _, o := range pairs {
			w.leafPair(o.rec)
		}
		if err := w.end(); err != nil {
			return err
		}
	}
	runtime.KeepAlive(seen)
	return nil
}

// leafPair puts a key with its value or values on a leaf.
func (w *pageWriter) leafPair(rec recstore.Ref) {
	key, value := w.recs.At(rec)
	keyItem := func() uint32 { return w.give(longItem{rec: rec, what: longKey}) }
	if len(w.recs.More(rec)) == 0 {
		w.leafItem(key, keyItem)
		w.leafItem(value, func() uint32 { return w.give(longItem{rec: rec, what: longValue}) })
		return
	}
	set := w.values(rec)
	w.leafItem(key, keyItem)
	if w.onLeaf(key, set) {
		keyAt := w.free
		for n, i := range set {
			if n > 0 {
				w.entry(keyAt) // duplicates share the item of their key
			}
			_, v := w.recs.At(i)
			w.leafItem(v, func() uint32 { return w.give(longItem{rec: i, what: longValue}) })
		}
		return
	}
	b := w.item(12)
	b[2] = btreeDup
	binary.LittleEndian.PutUint32(b[4:], w.give(longItem{rec: rec, what: longSet, set: set}))
}

// leafItem puts one item on a leaf; give reserves the chain for a long one.
func (w *pageWriter) leafItem(v []byte, give func() uint32) {
	no := uint32(0)
	if len(v) > w.itemLimit() {
		no = give()
	}
	w.treeItem(v, no)
}

// pairBytes is what a key with its values takes on a leaf, index entries included.
func (w *pageWriter) pairBytes(key []byte, set []recstore.Ref) (n int) {
	n = w.itemSize(len(key))
	for _, i := range set {
		_, v := w.recs.At(i)
		n += 4 + w.itemSize(len(v))
	}
	return n
}

// onLeaf reports whether a set of duplicates stays on the leaf.
func (w *pageWriter) onLeaf(key []byte, set []recstore.Ref) bool {
	return w.pairBytes(key, set) <= w.ps/4
}

// planBtree sorts the records and cuts them into leaves.
func (w *pageWriter) planBtree() *btreePlan {
	p := &btreePlan{order: make([]ordered, 0, w.recs.Len()), leaves: []uint32{0}}
	for i := range w.recs.Slots() {
		if w.recs.Head(i) {
			rec := w.recs.Ref(i)
			size, long := w.leafSize(rec)
			p.long += long
			p.order = append(p.order, ordered{rec: rec, info: uint32(size) << restBits})
		}
	}
	sortAll(w.recs, p.order)
	used := 0
	for i, o := range p.order {
		if used+o.size() > w.room() {
			p.leaves = append(p.leaves, uint32(i))
			used = 0
		}
		used += o.size()
	}
	p.leaves = append(p.leaves, uint32(len(p.order)))
	if len(p.leaves) > 2 {
		w.planLevels(p)
	}
	return p
}

// leafSize is what a head takes on a leaf, and the number of pages for what does not stand there.
func (w *pageWriter) leafSize(rec recstore.Ref) (size int, long uint32) {
	key, value := w.recs.At(rec)
	if len(key) > w.itemLimit() {
		long += w.chainPages(len(key))
	}
	if len(w.recs.More(rec)) == 0 {
		if len(value) > w.itemLimit() {
			long += w.chainPages(len(value))
		}
		return 4 + w.itemSize(len(key)) + w.itemSize(len(value)), long
	}
	set := w.values(rec)
	if !w.onLeaf(key, set) {
		return 4 + w.itemSize(len(key)) + 12, long + w.setPages(set)
	}
	for _, i := range set {
		if _, v := w.recs.At(i); len(v) > w.itemLimit() {
			long += w.chainPages(len(v))
		}
	}
	return w.pairBytes(key, set), long
}

// planLevels makes the internal pages.
func (w *pageWriter) planLevels(p *btreePlan) {
	leaves := uint32(len(p.leaves) - 1)
	chain := 2 + leaves + p.long
	row := make([]entry, leaves)
	for i := range row {
		row[i].child = 2 + uint32(i)
		if i == 0 {
			continue
		}
		left, _ := w.recs.At(p.order[p.leaves[i]-1].rec)
		right, _ := w.recs.At(p.order[p.leaves[i]].rec)
		row[i].sep = separator(left, right)
		if len(row[i].sep) > w.itemLimit() {
			row[i].chain = chain
			p.seps = append(p.seps, row[i].sep)
			chain += w.chainPages(len(row[i].sep))
		}
	}
	no := chain // the number of the first internal page but the root
	for {
		pages := w.cutLevel(row)
		p.levels = append(p.levels, pages)
		if len(pages) == 1 {
			return
		}
		row = make([]entry, len(pages))
		for i, page := range pages {
			row[i] = page[0]
			row[i].child = no
			no++
		}
	}
}

// separator is the shortest beginning of right that is greater than left.
func separator(left, right []byte) []byte {
	n := 0
	for n < len(left) && n < len(right) && left[n] == right[n] {
		n++
	}
	return right[:n+1]
}

// cutLevel cuts a row of entries into pages of at least two entries.
func (w *pageWriter) cutLevel(row []entry) (pages [][]entry) {
	for len(row) > 0 {
		n, used := 0, 0
		for n < len(row) {
			size := 2 + w.branchSize(row[n].sep)
			if n == 0 {
				size = 2 + w.branchSize(nil)
			}
			if used+size > w.room() {
				break
			}
			used += size
			n++
		}
		if len(row)-n == 1 {
			n-- // the last page would have one entry alone
		}
		pages = append(pages, row[:n])
		row = row[n:]
	}
	return pages
}

// branchSize is what an entry takes on an internal page, without its index entry.
func (w *pageWriter) branchSize(sep []byte) int {
	if len(sep) > w.itemLimit() {
		return 24
	}
	return align4(12 + len(sep))
}

// internalPage writes an internal page.
func (w *pageWriter) internalPage(entries []entry, level byte) error {
	w.begin(typeBtreeInternal, level, 0, 0)
	for i, e := range entries {
		if i == 0 {
			e.sep = nil // it counts as smaller than everything
		}
		b := w.item(w.branchSize(e.sep))
		n := len(e.sep)
		b[2] = btreeData
		if n > w.itemLimit() {
			b[2] = btreeOverflow
			b[14] = btreeOverflow
			binary.LittleEndian.PutUint32(b[16:], e.chain)
			binary.LittleEndian.PutUint32(b[20:], uint32(n))
			n = 12
		} else {
			copy(b[12:], e.sep)
		}
		binary.LittleEndian.PutUint16(b, uint16(n))
		binary.LittleEndian.PutUint32(b[4:], e.child)
	}
	return w.end()
}

// sortAll sorts records by key, shorter first. A large set is cut by one byte of the keys, and the parts are sorted by several
// goroutines.
func sortAll(recs *recstore.Store, order []ordered) {
	workers := runtime.GOMAXPROCS(0)
	if len(order) < 1<<14 || workers == 1 {
		sortFrom(recs, order, 0)
		return
	}
	depth := common(recs, order, 0)
	bounds := cutByByte(recs, order, depth)
	var next atomic.Int32
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(bounds)-1 {
					return
				}
				sortPrefixed(recs, order[bounds[i]:bounds[i+1]], depth)
			}
		})
	}
	wg.Wait()
}

// cutByByte moves records so that those whose key ends at depth come first, and the others in the order of the byte there.
// Parts i to i+1 of bounds belong together.
func cutByByte(recs *recstore.Store, order []ordered, depth int) (bounds [258]int) {
	part := func(o ordered) int {
		if o.rest() == 0 {
			return 0
		}
		return 1 + int(o.prefix>>56)
	}
	prefixes(recs, order, depth)
	for _, o := range order {
		bounds[part(o)+1]++
	}
	for i := range bounds[1:] {
		bounds[i+1] += bounds[i]
	}
	next := bounds
	for p := range bounds[1:] {
		for next[p] < bounds[p+1] {
			o := order[next[p]]
			for q := part(o); q != p; q = part(o) {
				o, order[next[q]] = order[next[q]], o
				next[q]++
			}
			order[next[p]] = o
			next[p]++
		}
	}
	return bounds
}

// common returns how many bytes all keys begin with; they are known to share depth.
func common(recs *recstore.Store, order []ordered, depth int) int {
	first, _ := recs.At(order[0].rec)
	n := len(first)
	for _, o := range order[1:] {
		key, _ := recs.At(o.rec)
		n = min(n, len(key))
		for i := depth; i < n; i++ {
			if key[i] != first[i] {
				n = i
			}
		}
		if n <= depth {
			return depth
		}
	}
	return n
}

// prefixes enters the eight bytes of each key from depth on.
func prefixes(recs *recstore.Store, order []ordered, depth int) {
	for i := range order {
		o := &order[i]
		key, _ := recs.At(o.rec)
		o.prefix = prefix(key[depth:], 0)
		o.info = o.info>>restBits<<restBits | uint32(min(len(key)-depth, restMore))
	}
}

// sortFrom sorts records whose keys have the same first depth bytes by key, shorter first, eight bytes at a time: so each key is
// fetched from memory once for eight bytes, and not for each comparison. Bytes that all keys have are passed over.
func sortFrom(recs *recstore.Store, order []ordered, depth int) {
	if len(order) < 2 {
		return
	}
	if len(order) <= 1<<10 { // they fit the cache
		seen := byte(0)
		for _, o := range order {
			seen ^= recs.Touch(o.rec)
		}
		runtime.KeepAlive(seen)
	}
	depth = common(recs, order, depth)
	prefixes(recs, order, depth)
	sortPrefixed(recs, order, depth)
}

// sortPrefixed is sortFrom for records that have their prefixes.
func sortPrefixed(recs *recstore.Store, order []ordered, depth int) {
	// Of two keys with the same eight bytes, of which one ended before them and the other has zeros, the rest decides.
	slices.SortFunc(order, func(a, b ordered) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		return cmp.Compare(a.rest(), b.rest())
	})
	for len(order) > 0 {
		n := 1
		for n < len(order) && order[n].prefix == order[0].prefix && order[n].rest() == order[0].rest() {
			n++
		}
		if n > 1 && order[0].rest() == restMore {
			sortFrom(recs, order[:n], depth+8)
		}
		order = order[n:]
	}
}
