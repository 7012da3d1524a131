package bdb

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"runtime"
	"slices"

	"github.com/mtakit/mtakit/table/internal/recstore"
)

// bigKey marks the size of a pair whose key is off page: it gets a page of its own, because libdb orders long keys by
// another rule than short ones and loses some on pages that mix them.
const bigKey = 1 << 31

// hashPlan says which pair stands where.
type hashPlan struct {
	buckets uint32
	order   []placed // heads of records, bucket by bucket
	start   []uint32 // where each bucket begins in order, and the end
	extra   []uint32 // number of chain pages behind the first of all buckets before this one
}

// placed is a record with what it takes on its page, its two index entries included.
type placed struct {
	ref  recstore.Ref
	size uint32
}

// writeHash writes a hash file: metadata, one page per bucket, the further pages of long chains, long items.
func (w *pageWriter) writeHash() error {
	plan, long := w.planHash()
	extras := plan.extra[plan.buckets]
	w.appendix = 1 + plan.buckets + extras
	last := w.appendix + long - 1
	flags := uint32(0)
	if w.dups {
		flags = 1
	}
	b := w.meta(magicHash, typeHashMeta, flags, last)
	le := binary.LittleEndian
	le.PutUint32(b[72:], plan.buckets-1)
	le.PutUint32(b[76:], plan.buckets-1)
	le.PutUint32(b[80:], plan.buckets/2-1)
	le.PutUint32(b[88:], uint32(min(uint64(w.recs.Len()), 1<<31))) // a hint
	le.PutUint32(b[92:], charkey)
	for i := range bits.Len32(plan.buckets-1) + 1 {
		le.PutUint32(b[96+4*i:], 1)
	}
	if err := w.done(); err != nil {
		return err
	}
	spread := spread{n: plan.buckets, alone: long > 0}
	spread.first = func(bucket uint32) uint32 { return 1 + bucket }
	spread.fill = func(w *pageWriter, from, to uint32) error { return w.firstPages(plan, from, to) }
	if err := spread.run(w); err != nil {
		return err
	}
	spread.first = func(bucket uint32) uint32 { return 1 + plan.buckets + plan.extra[bucket] }
	spread.fill = func(w *pageWriter, from, to uint32) error { return w.chains(plan, from, to) }
	if err := spread.run(w); err != nil {
		return err
	}
	return w.writeLong()
}

// firstPages writes the first page of each of some buckets.
func (w *pageWriter) firstPages(plan *hashPlan, from, to uint32) error {
	sorter := keySorter{recs: w.recs}
	for bucket := from; bucket < to; bucket++ {
		next := uint32(0)
		if plan.extra[bucket+1] > plan.extra[bucket] {
			next = 1 + plan.buckets + plan.extra[bucket]
		}
		heads := w.firstPage(plan.heads(bucket))
		if err := w.hashPage(&sorter, heads, 0, next); err != nil {
			return err
		}
	}
	return nil
}

// chains writes the further pages of some buckets.
func (w *pageWriter) chains(plan *hashPlan, from, to uint32) error {
	sorter := keySorter{recs: w.recs}
	for bucket := from; bucket < to; bucket++ {
		if plan.extra[bucket+1] == plan.extra[bucket] {
			continue
		}
		prev, rest := 1+bucket, plan.heads(bucket)
		rest = rest[len(w.firstPage(rest)):]
		for len(rest) > 0 {
			heads := w.firstPage(rest)
			rest = rest[len(heads):]
			next := uint32(0)
			if len(rest) > 0 {
				next = w.no + 1
			}
			self := w.no
			if err := w.hashPage(&sorter, heads, prev, next); err != nil {
				return err
			}
			prev = self
		}
	}
	return nil
}

// heads lists the records of a bucket.
func (p *hashPlan) heads(bucket uint32) []placed { return p.order[p.start[bucket]:p.start[bucket+1]] }

// firstPage returns the first of heads that share a page.
func (w *pageWriter) firstPage(heads []placed) []placed {
	used := 0
	for i, h := range heads {
		size := int(h.size &^ bigKey)
		alone := h.size&bigKey != 0
		if i > 0 && (alone || used+size > w.room()) {
			return heads[:i]
		}
		if alone {
			return heads[:1]
		}
		used += size
	}
	return heads
}

// planHash distributes the records. long is the number of pages for long items.
func (w *pageWriter) planHash() (p *hashPlan, long uint32) {
	p = &hashPlan{}
	sizes := make([]uint32, w.recs.Slots())
	total, heads := int64(0), 0
	for i := range sizes {
		if !w.recs.Head(i) {
			continue
		}
		size, pages := w.pairSize(w.recs.Ref(i))
		sizes[i] = size
		long += pages
		total += int64(size &^ bigKey)
		heads++
	}
	p.buckets = w.chooseBuckets(sizes, total)
	// Counting sort by bucket.
	p.start = make([]uint32, p.buckets+1)
	mask := p.buckets - 1
	for i, size := range sizes {
		if size != 0 {
			p.start[w.recs.Hash(i)&mask+1]++
		}
	}
	for b := range p.buckets {
		p.start[b+1] += p.start[b]
	}
	p.order = make([]placed, heads)
	next := slices.Clone(p.start)
	for i, size := range sizes {
		if size != 0 {
			at := &next[w.recs.Hash(i)&mask]
			p.order[*at] = placed{w.recs.Ref(i), size}
			*at++
		}
	}
	p.extra = next // no longer needed
	p.extra[0] = 0
	for b := range p.buckets {
		heads := p.heads(b)
		// Pairs that stand alone go to the end of the chain.
		if slices.ContainsFunc(heads, func(h placed) bool { return h.size&bigKey != 0 }) {
			slices.SortStableFunc(heads, func(x, y placed) int { return cmp.Compare(x.size&bigKey, y.size&bigKey) })
		}
		pages := uint32(0)
		for ; len(heads) > 0; pages++ {
			heads = heads[len(w.firstPage(heads)):]
		}
		p.extra[b+1] = p.extra[b] + max(pages, 1) - 1
	}
	return p, long
}

// chooseBuckets finds the power of two with the fewest pages, or one with nearly as few and shorter chains. Chains have at most
// three pages on average: then a file is at most a third larger than its records, whatever their number, where libdb's is
// larger by 40 to 130 percent.
func (w *pageWriter) chooseBuckets(size []uint32, total int64) uint32 {
	least := max(2, uint32(1)<<bits.Len64(uint64(total)/uint64(w.room()))/4)
	best, bestPages := uint32(0), uint64(0)
	for _, n := range [...]uint32{least, 2 * least, 4 * least, 8 * least} {
		used := make([]uint32, n)
		for i, s := range size {
			if s != 0 {
				used[w.recs.Hash(i)&(n-1)] += s &^ bigKey
			}
		}
		pages := uint64(0)
		for _, u := range used {
			pages += max(1, (uint64(u)+uint64(w.room())-1)/uint64(w.room()))
		}
		if best == 0 || bestPages > 3*uint64(best) || pages <= bestPages+bestPages/20 {
			best, bestPages = n, pages
		}
	}
	return best
}

// pairSize is what a record takes on its page, and the number of pages for what does not stand there.
func (w *pageWriter) pairSize(i recstore.Ref) (size, long uint32) {
	key, value := w.recs.At(i)
	size = 4
	if len(key) > w.ps/4 {
		size += 12 | bigKey
		long += w.chainPages(len(key))
	} else {
		size += 1 + uint32(len(key))
	}
	if more := w.recs.More(i); len(more) > 0 {
		set := w.values(i)
		if n := w.dupBytes(set); n <= w.ps/4 {
			return size + 1 + uint32(n), long
		}
		return size + 8, long + w.setPages(set)
	}
	if len(value) > w.ps/4 {
		return size + 12, long + w.chainPages(len(value))
	}
	return size + 1 + uint32(len(value)), long
}

// dupBytes is the length of an on-page set of duplicates.
func (w *pageWriter) dupBytes(set []recstore.Ref) (n int) {
	for _, i := range set {
		_, v := w.recs.At(i)
		n += 4 + len(v)
	}
	return n
}

// hashPage writes a page of a bucket.
func (w *pageWriter) hashPage(sorter *keySorter, heads []placed, prev, next uint32) error {
	w.begin(typeHash, 0, prev, next)
	for _, k := range sorter.sort(heads) {
		w.hashKey(k)
		w.hashData(k)
	}
	return w.end()
}

func (w *pageWriter) hashKey(k *sortKey) {
	if len(k.key) > w.ps/4 {
		w.offPage(w.give(longItem{rec: k.rec, what: longKey}), len(k.key))
		return
	}
	b := w.item(1 + len(k.key))
	b[0] = itemData
	copy(b[1:], k.key)
}

func (w *pageWriter) hashData(k *sortKey) {
	rec, value := k.rec, k.value
	if more := w.recs.More(rec); len(more) > 0 {
		w.hashDups(rec)
		return
	}
	if len(value) > w.ps/4 {
		w.offPage(w.give(longItem{rec: rec, what: longValue}), len(value))
		return
	}
	b := w.item(1 + len(value))
	b[0] = itemData
	copy(b[1:], value)
}

// hashDups writes a set of duplicates, on the page when it fits.
func (w *pageWriter) hashDups(rec recstore.Ref) {
	set := w.values(rec)
	n := w.dupBytes(set)
	if n > w.ps/4 {
		b := w.item(8)
		b[0] = itemOffDup
		binary.LittleEndian.PutUint32(b[4:], w.give(longItem{rec: rec, what: longSet, set: set}))
		return
	}
	b := w.item(1 + n)
	b[0] = itemDup
	b = b[1:]
	for _, i := range set {
		_, v := w.recs.At(i)
		binary.LittleEndian.PutUint16(b, uint16(len(v)))
		copy(b[2:], v)
		binary.LittleEndian.PutUint16(b[2+len(v):], uint16(len(v)))
		b = b[4+len(v):]
	}
}

// offPage writes a reference to an overflow chain.
func (w *pageWriter) offPage(no uint32, length int) {
	b := w.item(12)
	b[0] = itemOffPage
	binary.LittleEndian.PutUint32(b[4:], no)
	binary.LittleEndian.PutUint32(b[8:], uint32(length))
}

// sortKey is a record with the first eight bytes of its key as a number.
type sortKey struct {
	prefix     uint64
	key, value []byte
	rec        recstore.Ref
}

// keySorter sorts the keys of a hash page: by bytes, and of two keys of which one begins with the other, the longer
// first. It keeps its memory.
type keySorter struct {
	recs  *recstore.Store
	keys  []sortKey
	order []*sortKey
}

func (s *keySorter) sort(heads []placed) []*sortKey {
	s.keys, s.order = s.keys[:0], s.order[:0]
	seen := byte(0)
	for _, h := range heads {
		seen ^= s.recs.Touch(h.ref)
	}
	runtime.KeepAlive(seen)
	for _, h := range heads {
		key, value := s.recs.At(h.ref)
		s.keys = append(s.keys, sortKey{prefix(key, 0xff), key, value, h.ref})
	}
	for i := range s.keys {
		s.order = append(s.order, &s.keys[i])
	}
	slices.SortFunc(s.order, func(a, b *sortKey) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		return compareHashKeys(a.key, b.key)
	})
	return s.order
}

// prefix returns the first eight bytes of key as a number, filled up with pad.
func prefix(key []byte, pad byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	for i := copy(b[:], key); i < len(b); i++ {
		b[i] = pad
	}
	return binary.BigEndian.Uint64(b[:])
}
