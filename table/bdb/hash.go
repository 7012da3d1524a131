package bdb

import (
	"bytes"
	"cmp"
	"math/bits"

	"github.com/mtakit/mtakit/table"
)

// Types of hash items, their first byte.
const (
	itemData    = 1
	itemDup     = 2
	itemOffPage = 3
	itemOffDup  = 4
)

// hash is Berkeley DB's function for hash files of version 5 and later.
func hash(key []byte) uint32 {
	h := uint32(0)
	for _, c := range key {
		h = h*16777619 ^ uint32(c)
	}
	return h
}

// bucketPage returns the bucket of a hash value and its first page.
func (m *Meta) bucketPage(h uint32) (bucket, page uint32) {
	b := h & m.highMask
	if b > m.MaxBucket {
		b &= m.lowMask
	}
	return b, b + m.spares[bits.Len32(b)]
}

// hashPage reads a page of a bucket's chain.
func (r *Reader) hashPage(no, prev uint32) (page, error) {
	p, err := r.page(no, true)
	switch {
	case err != nil || p.zero:
		return p, err
	case p.kind != typeHash && p.kind != typeHashUnsorted:
		return p, r.fault(table.ErrCorrupt, no, 25, "page type %d in a hash bucket", p.kind)
	case p.n%2 != 0:
		return p, r.fault(table.ErrCorrupt, no, 20, "odd number of entries: %d", p.n)
	}
	if got := r.u32(p.b[12:]); got != prev {
		return p, r.fault(table.ErrCorrupt, no, 12, "previous page is %d, want %d", got, prev)
	}
	return p, nil
}

// hashItem returns item i, whose predecessor on the page begins at end.
func (r *Reader) hashItem(p *page, i, end int) (item []byte, start int, err error) {
	start = r.offset(p, i)
	if start < p.at+2*p.n || start >= end {
		return nil, 0, r.fault(table.ErrCorrupt, p.no, int64(p.at+2*i), "item %d begins at %d, not between the index and %d", i, start, end)
	}
	return p.b[start:end], start, nil
}

// lookupHash searches the pages of the key's bucket. Bisection finds most keys and touches little of a page. What it does not
// find is searched from end to end, which also finds keys on unsorted pages of old versions, and on pages whose order is
// confused by long keys. A page that was met before needs neither: see seenPage.
func (r *Reader) lookupHash(key []byte) ([]byte, bool, error) {
	h := hash(key)
	_, no := r.meta.bucketPage(h)
	prev := uint32(0)
	for steps := uint32(0); ; steps++ {
		if steps > r.meta.LastPage {
			return nil, false, r.fault(table.ErrCorrupt, no, 16, "loop in a bucket chain")
		}
		var value []byte
		var ok bool
		var err error
		var next uint32
		if seen := r.pages.get(no); seen != nil && seen.prev == prev {
			next = seen.next
			value, ok, err = r.searchSeen(no, seen, h, key)
		} else {
			next, value, ok, err = r.searchNew(no, prev, key)
		}
		if ok || err != nil || next == 0 {
			return value, ok, err
		}
		prev, no = no, next
	}
}

// searchNew searches a page of a bucket that was not met before.
func (r *Reader) searchNew(no, prev uint32, key []byte) (next uint32, value []byte, ok bool, err error) {
	p, err := r.hashPage(no, prev)
	if err != nil {
		return 0, nil, false, err
	}
	value, ok, err = r.bisectHashPage(&p, key)
	if !ok {
		value, ok, err = r.searchHashPage(&p, key)
	}
	if err == nil {
		r.remember(&p, prev)
	}
	return p.next, value, ok, err
}

// bisectHashPage searches one page that it takes to be sorted and sound. ok is false when that led nowhere.
func (r *Reader) bisectHashPage(p *page, key []byte) (value []byte, ok bool, err error) {
	if p.kind != typeHash {
		return nil, false, nil
	}
	low := p.at + 2*p.n
	index := p.b[p.at:low]
	for lo, hi := 0, p.n/2; lo < hi; {
		mid := int(uint(lo+hi) / 2)
		end := len(p.b)
		if mid > 0 {
			end = int(r.u16(index[4*mid-2:]))
		}
		start, dataStart := int(r.u16(index[4*mid:])), int(r.u16(index[4*mid+2:]))
		if end > len(p.b) || start >= end || dataStart >= start || dataStart < low || p.b[start] != itemData {
			return nil, false, nil
		}
		switch c := compareHashKeys(p.b[start+1:end], key); {
		case c == 0:
			return r.firstHashValue(p, dataStart, p.b[dataStart:start])
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return nil, false, nil
}

// searchHashPage searches one page from end to end. It looks at all offsets up to the key, so that damage in front of it shows.
func (r *Reader) searchHashPage(p *page, key []byte) (value []byte, ok bool, err error) {
	low, end := p.at+2*p.n, len(p.b)
	index := p.b[p.at:low]
	for i := 0; i+4 <= len(index); i += 4 {
		start, dataStart := int(r.u16(index[i:])), int(r.u16(index[i+2:]))
		if start >= end || dataStart >= start || dataStart < low {
			return nil, false, r.badOffset(p, i/2, end)
		}
		found := false
		switch kind := p.b[start]; {
		case kind == itemData:
			found = end-start-1 == len(key) && string(p.b[start+1:end]) == string(key)
		case kind == itemOffPage:
			found, err = r.equalOffPage(p, start, p.b[start:end], key)
		default:
			err = r.fault(table.ErrCorrupt, p.no, int64(start), "item type %d for a key", kind)
		}
		if err != nil {
			return nil, false, err
		}
		if found {
			return r.firstHashValue(p, dataStart, p.b[dataStart:start])
		}
		end = dataStart
	}
	return nil, false, nil
}

// badOffset reports the first bad offset from entry i on.
func (r *Reader) badOffset(p *page, i, end int) error {
	_, start, err := r.hashItem(p, i, end)
	if err == nil {
		_, _, err = r.hashItem(p, i+1, start)
	}
	return err
}

// offPageRef takes an off-page item apart.
func (r *Reader) offPageRef(p *page, at int, item []byte) (no uint32, length int64, err error) {
	if len(item) != 12 {
		return 0, 0, r.fault(table.ErrCorrupt, p.no, int64(at), "off-page item of %d bytes, want 12", len(item))
	}
	return r.u32(item[4:]), int64(r.u32(item[8:])), nil
}

// equalOffPage compares an off-page key.
func (r *Reader) equalOffPage(p *page, at int, item, key []byte) (bool, error) {
	no, length, err := r.offPageRef(p, at, item)
	if err != nil || length != int64(len(key)) {
		return false, err
	}
	_, equal, err := r.overflow(no, length, key, true)
	return equal, err
}

// firstHashValue returns the value in a data item, the first of a set.
func (r *Reader) firstHashValue(p *page, at int, item []byte) (value []byte, ok bool, err error) {
	err = r.hashValues(p, at, item, func(v []byte) bool {
		value, ok = v, true
		return false
	})
	if ok {
		return value, true, nil
	}
	return nil, false, err
}

// hashValues yields the values in a data item. It returns errStop when yield returned false.
func (r *Reader) hashValues(p *page, at int, item []byte, yield func([]byte) bool) error {
	switch item[0] {
	case itemData:
		if !yield(item[1:]) {
			return errStop
		}
	case itemOffPage:
		no, length, err := r.offPageRef(p, at, item)
		if err != nil {
			return err
		}
		v, _, err := r.overflow(no, length, nil, false)
		if err != nil {
			return err
		}
		if !yield(v) {
			return errStop
		}
	case itemDup:
		for b := item[1:]; len(b) > 0; {
			n := 0
			if len(b) >= 4 {
				n = int(r.u16(b))
			}
			if len(b) < 4+n || int(r.u16(b[2+n:])) != n {
				return r.fault(table.ErrCorrupt, p.no, int64(at), "duplicate of %d bytes does not fit its item", n)
			}
			if !yield(b[2 : 2+n]) {
				return errStop
			}
			b = b[4+n:]
		}
	case itemOffDup:
		if len(item) != 8 {
			return r.fault(table.ErrCorrupt, p.no, int64(at), "off-page duplicates item of %d bytes, want 8", len(item))
		}
		return r.walkDups(r.u32(item[4:]), yield)
	default:
		return r.fault(table.ErrCorrupt, p.no, int64(at), "item type %d", item[0])
	}
	return nil
}

// hashKey returns the key in an item.
func (r *Reader) hashKey(p *page, at int, item []byte) ([]byte, error) {
	switch item[0] {
	case itemData:
		return item[1:], nil
	case itemOffPage:
		no, length, err := r.offPageRef(p, at, item)
		if err != nil {
			return nil, err
		}
		key, _, err := r.overflow(no, length, nil, false)
		return key, err
	}
	return nil, r.fault(table.ErrCorrupt, p.no, int64(at), "item type %d for a key", item[0])
}

// walkHash yields all records, bucket by bucket. A key that hashes to another bucket is damage: no look-up would find it.
func (r *Reader) walkHash(yield func(key, value []byte) bool) error {
	for bucket := uint32(0); ; bucket++ {
		no, prev := bucket+r.meta.spares[bits.Len32(bucket)], uint32(0)
		for {
			p, err := r.hashPage(no, prev)
			if err != nil {
				return err
			}
			if err := r.walkHashPage(&p, bucket, yield); err != nil {
				return err
			}
			if p.next == 0 {
				break
			}
			prev, no = no, p.next
		}
		if bucket == r.meta.MaxBucket {
			return nil
		}
	}
}

func (r *Reader) walkHashPage(p *page, bucket uint32, yield func(key, value []byte) bool) error {
	end := len(p.b)
	var last []byte
	for i := 0; i < p.n; i += 2 {
		item, start, err := r.hashItem(p, i, end)
		if err != nil {
			return err
		}
		data, dataStart, err := r.hashItem(p, i+1, start)
		if err != nil {
			return err
		}
		end = dataStart
		key, err := r.hashKey(p, start, item)
		if err != nil {
			return err
		}
		if b, _ := r.meta.bucketPage(hash(key)); b != bucket {
			return r.fault(table.ErrCorrupt, p.no, int64(start), "key of bucket %d in bucket %d", b, bucket)
		}
		if r.strict && item[0] == itemData && p.kind == typeHash {
			if i > 0 && last != nil && compareHashKeys(last, key) >= 0 {
				return r.fault(table.ErrCorrupt, p.no, int64(start), "keys out of order")
			}
			last = key
		}
		if err := r.hashValues(p, dataStart, data, func(v []byte) bool { return yield(key, v) }); err != nil {
			return err
		}
	}
	return nil
}

// compareHashKeys is the order of keys on a hash page: by bytes, and of two keys of which one begins with the other, the
// longer first.
func compareHashKeys(a, b []byte) int {
	n := min(len(a), len(b))
	if c := bytes.Compare(a[:n], b[:n]); c != 0 {
		return c
	}
	return cmp.Compare(len(b), len(a))
}
