package bdb

import (
	"bytes"

	"github.com/mtakit/mtakit/table"
)

// Types of btree items. The bit deleted marks an item that is not there any more.
const (
	btreeData     = 1
	btreeDup      = 2
	btreeOverflow = 3
	btreeDeleted  = 0x80
)

// btreeItem is an item of a leaf or a key of an internal page.
type btreeItem struct {
	at      int
	kind    byte
	deleted bool
	data    []byte // type 1
	page    uint32 // types 2 and 3
	length  int64  // type 3
}

// treePage reads a page of a tree and checks that it stands at the level that its parent demands; level 0 accepts any,
// for the root.
func (r *Reader) treePage(no uint32, level byte) (p page, err error) {
	p, err = r.page(no, false)
	if err != nil {
		return p, err
	}
	got := p.b[24]
	internal := p.kind == typeBtreeInternal || p.kind == typeRecnoInternal
	leaf := p.kind == typeBtreeLeaf || p.kind == typeRecnoLeaf || p.kind == typeDupLeaf
	switch {
	case !internal && !leaf:
		return p, r.fault(table.ErrCorrupt, no, 25, "page type %d in a tree", p.kind)
	case internal && got < 2 || leaf && got != 1:
		return p, r.fault(table.ErrCorrupt, no, 24, "level %d on a page of type %d", got, p.kind)
	case level != 0 && got != level:
		return p, r.fault(table.ErrCorrupt, no, 24, "level %d, want %d", got, level)
	case internal && p.n == 0:
		return p, r.fault(table.ErrCorrupt, no, 20, "internal page without entries")
	}
	return p, nil
}

// item takes item i of a leaf apart.
func (r *Reader) item(p *page, i int) (it btreeItem, err error) {
	at := r.offset(p, i)
	it.at = at
	if at < p.at+2*p.n || at+3 > len(p.b) {
		return it, r.fault(table.ErrCorrupt, p.no, int64(p.at+2*i), "item %d begins at %d", i, at)
	}
	kind := p.b[at+2]
	it.kind, it.deleted = kind&^btreeDeleted, kind&btreeDeleted != 0
	switch it.kind {
	case btreeData:
		n := int(r.u16(p.b[at:]))
		if at+3+n > len(p.b) {
			return it, r.fault(table.ErrCorrupt, p.no, int64(at), "item %d of %d bytes goes past the page", i, n)
		}
		it.data = p.b[at+3 : at+3+n]
	case btreeDup, btreeOverflow:
		if at+12 > len(p.b) {
			return it, r.fault(table.ErrCorrupt, p.no, int64(at), "item %d goes past the page", i)
		}
		it.page, it.length = r.u32(p.b[at+4:]), int64(r.u32(p.b[at+8:]))
	default:
		return it, r.fault(table.ErrCorrupt, p.no, int64(at), "item %d has type %d", i, it.kind)
	}
	return it, nil
}

// branch takes entry i of an internal page apart: the key as an item, and the child.
func (r *Reader) branch(p *page, i int) (it btreeItem, child uint32, err error) {
	at := r.offset(p, i)
	it.at = at
	size := 12
	if p.kind == typeRecnoInternal {
		size = 8
	}
	if at < p.at+2*p.n || at+size > len(p.b) {
		return it, 0, r.fault(table.ErrCorrupt, p.no, int64(p.at+2*i), "item %d begins at %d", i, at)
	}
	if p.kind == typeRecnoInternal {
		return it, r.u32(p.b[at:]), nil
	}
	n := int(r.u16(p.b[at:]))
	it.kind = p.b[at+2] &^ btreeDeleted
	child = r.u32(p.b[at+4:])
	if at+12+n > len(p.b) {
		return it, 0, r.fault(table.ErrCorrupt, p.no, int64(at), "item %d of %d bytes goes past the page", i, n)
	}
	switch it.kind {
	case btreeData:
		it.data = p.b[at+12 : at+12+n]
	case btreeOverflow:
		if n != 12 {
			return it, 0, r.fault(table.ErrCorrupt, p.no, int64(at), "overflow reference of %d bytes, want 12", n)
		}
		it.page, it.length = r.u32(p.b[at+16:]), int64(r.u32(p.b[at+20:]))
	default:
		return it, 0, r.fault(table.ErrCorrupt, p.no, int64(at), "item %d has type %d", i, it.kind)
	}
	return it, child, nil
}

// bytes returns the content of a key or data item.
func (r *Reader) bytes(p *page, it *btreeItem) ([]byte, error) {
	switch it.kind {
	case btreeData:
		return it.data, nil
	case btreeOverflow:
		b, _, err := r.overflow(it.page, it.length, nil, false)
		return b, err
	}
	return nil, r.fault(table.ErrCorrupt, p.no, int64(it.at), "item type %d for a key", it.kind)
}

// lookupBtree descends to the leaf where key has to be. Keys are ordered by bytes, shorter ones first.
func (r *Reader) lookupBtree(key []byte) ([]byte, bool, error) {
	no, level := uint32(1), byte(0)
	for {
		p, err := r.treePage(no, level)
		if err != nil {
			return nil, false, err
		}
		switch p.kind {
		case typeBtreeInternal:
			no, err = r.child(&p, key)
			if err != nil {
				return nil, false, err
			}
			level = p.b[24] - 1
		case typeBtreeLeaf:
			return r.lookupLeaf(&p, key)
		default:
			return nil, false, r.fault(table.ErrCorrupt, no, 25, "page type %d in a btree", p.kind)
		}
	}
}

// child returns the last child whose key is not greater than key; the first entry counts as smaller than everything.
func (r *Reader) child(p *page, key []byte) (uint32, error) {
	lo, hi := 1, p.n // the first entry greater than key is in [lo, hi]
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		it, _, err := r.branch(p, mid)
		if err != nil {
			return 0, err
		}
		k, err := r.bytes(p, &it)
		if err != nil {
			return 0, err
		}
		if bytes.Compare(k, key) > 0 {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	_, child, err := r.branch(p, lo-1)
	return child, err
}

// lookupLeaf searches a leaf.
func (r *Reader) lookupLeaf(p *page, key []byte) (value []byte, ok bool, err error) {
	if p.n%2 != 0 {
		return nil, false, r.fault(table.ErrCorrupt, p.no, 20, "odd number of entries: %d", p.n)
	}
	lo, hi := 0, p.n/2 // the first pair not less than key
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		it, err := r.item(p, 2*mid)
		if err != nil {
			return nil, false, err
		}
		k, err := r.bytes(p, &it)
		if err != nil {
			return nil, false, err
		}
		if bytes.Compare(k, key) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for ; lo < p.n/2; lo++ {
		it, err := r.item(p, 2*lo)
		if err != nil {
			return nil, false, err
		}
		k, err := r.bytes(p, &it)
		if err != nil {
			return nil, false, err
		}
		if !bytes.Equal(k, key) {
			break
		}
		err = r.leafValues(p, 2*lo+1, func(v []byte) bool {
			value, ok = v, true
			return false
		})
		if ok || err != nil {
			if ok {
				err = nil
			}
			return value, ok, err
		}
	}
	return nil, false, nil
}

// leafValues yields the values of data item i: none when it is deleted, several when they are off page.
func (r *Reader) leafValues(p *page, i int, yield func([]byte) bool) error {
	it, err := r.item(p, i)
	if err != nil || it.deleted {
		return err
	}
	if it.kind == btreeDup {
		return r.walkDups(it.page, yield)
	}
	v, err := r.bytes(p, &it)
	if err != nil {
		return err
	}
	if !yield(v) {
		return errStop
	}
	return nil
}

// walkBtree yields all records in key order.
func (r *Reader) walkBtree(yield func(key, value []byte) bool) error {
	var last []byte
	have := false
	return r.walkTree(1, typeBtreeInternal, func(p *page) error {
		if p.kind != typeBtreeLeaf {
			return r.fault(table.ErrCorrupt, p.no, 25, "page type %d in a btree", p.kind)
		}
		if p.n%2 != 0 {
			return r.fault(table.ErrCorrupt, p.no, 20, "odd number of entries: %d", p.n)
		}
		var key []byte
		for i := 0; i < p.n; i += 2 {
			it, err := r.item(p, i)
			if err != nil {
				return err
			}
			// Duplicates on a page share their key item.
			if i == 0 || it.at != r.offset(p, i-2) {
				if key, err = r.bytes(p, &it); err != nil {
					return err
				}
			}
			if have && bytes.Compare(last, key) > 0 {
				return r.fault(table.ErrCorrupt, p.no, int64(it.at), "keys out of order")
			}
			last, have = append(last[:0], key...), true
			if err := r.leafValues(p, i+1, func(v []byte) bool { return yield(key, v) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// walkDups yields the values of a set of duplicates that has pages of its own.
func (r *Reader) walkDups(root uint32, yield func([]byte) bool) error {
	return r.walkTree(root, 0, func(p *page) error {
		if p.kind == typeBtreeLeaf {
			return r.fault(table.ErrCorrupt, p.no, 25, "page type %d in a tree of duplicates", p.kind)
		}
		for i := range p.n {
			it, err := r.item(p, i)
			if err != nil {
				return err
			}
			if it.deleted {
				continue
			}
			v, err := r.bytes(p, &it)
			if err != nil {
				return err
			}
			if !yield(v) {
				return errStop
			}
		}
		return nil
	})
}

// walkTree calls leaf for the leaves of a tree from left to right. Levels fall by one from page to page, so the path is
// short. internal, when not 0, is the type that internal pages must have.
func (r *Reader) walkTree(root uint32, internal byte, leaf func(p *page) error) error {
	type step struct {
		p page
		i int
	}
	p, err := r.treePage(root, 0)
	if err != nil {
		return err
	}
	path := []step{{p, 0}}
	for len(path) > 0 {
		top := &path[len(path)-1]
		if top.p.b[24] == 1 {
			if err := leaf(&top.p); err != nil {
				return err
			}
			path = path[:len(path)-1]
			continue
		}
		if internal != 0 && top.p.kind != internal {
			return r.fault(table.ErrCorrupt, top.p.no, 25, "page type %d in a btree", top.p.kind)
		}
		if top.i == top.p.n {
			path = path[:len(path)-1]
			continue
		}
		_, child, err := r.branch(&top.p, top.i)
		if err != nil {
			return err
		}
		top.i++
		p, err := r.treePage(child, top.p.b[24]-1)
		if err != nil {
			return err
		}
		path = append(path, step{p, 0})
	}
	return nil
}
