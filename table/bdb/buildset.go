package bdb

import (
	"encoding/binary"

	"github.com/mtakit/mtakit/table/internal/recstore"
)

// Sets of duplicates that have pages of their own are trees whose leaves hold the values in order. The pages of a set are its
// leaves, then the internal pages level by level with the root last, then the overflow chains of long values.

// itemLimit is the length from which on an item of a tree goes to an overflow chain.
func (w *pageWriter) itemLimit() int { return w.room()/4 - 10 }

// itemSize is what an item takes on a page of a tree, without its index entry.
func (w *pageWriter) itemSize(n int) int {
	if n > w.itemLimit() {
		return 12
	}
	return align4(3 + n)
}

func align4(n int) int { return (n + 3) &^ 3 }

// setLeaf returns how many values of set fit the first leaf.
func (w *pageWriter) setLeaf(set []recstore.Ref) int {
	used := 0
	for n, i := range set {
		_, v := w.recs.At(i)
		if used += 2 + w.itemSize(len(v)); used > w.room() {
			return n
		}
	}
	return len(set)
}

// setLeaves is the number of leaves for a set.
func (w *pageWriter) setLeaves(set []recstore.Ref) (n uint32) {
	for ; len(set) > 0; n++ {
		set = set[w.setLeaf(set):]
	}
	return n
}

// fanOut is the number of children of an internal page of a set: 8 bytes each, and an index entry.
func (w *pageWriter) fanOut() uint32 { return uint32(w.room() / 10) }

// levels returns the number of pages of each level of a tree with so many leaves, leaves first.
func levels(leaves, fanOut uint32) []uint32 {
	n := []uint32{leaves}
	for n[len(n)-1] > 1 {
		n = append(n, (n[len(n)-1]+fanOut-1)/fanOut)
	}
	return n
}

// treePages is the number of pages of a set without overflow chains.
func (w *pageWriter) treePages(set []recstore.Ref) (n uint32) {
	for _, k := range levels(w.setLeaves(set), w.fanOut()) {
		n += k
	}
	return n
}

// treeRoot is the number of the root page of a set whose pages begin at first.
func (w *pageWriter) treeRoot(set []recstore.Ref, first uint32) uint32 {
	return first + w.treePages(set) - 1
}

// setPages is the number of pages of a set.
func (w *pageWriter) setPages(set []recstore.Ref) uint32 {
	n := w.treePages(set)
	for _, i := range set {
		if _, v := w.recs.At(i); len(v) > w.itemLimit() {
			n += w.chainPages(len(v))
		}
	}
	return n
}

// writeSet writes a set.
func (w *pageWriter) writeSet(set []recstore.Ref) error {
	first := w.no
	chain := first + w.treePages(set) // where the next long value will stand
	var counts []uint32               // records below each page of the present level
	for rest := set; len(rest) > 0; {
		n := w.setLeaf(rest)
		prev, next := w.no-1, w.no+1
		if w.no == first {
			prev = 0
		}
		if n == len(rest) {
			next = 0
		}
		w.begin(typeRecnoLeaf, 1, prev, next)
		for _, i := range rest[:n] {
			_, v := w.recs.At(i)
			chain += w.treeItem(v, chain)
		}
		counts, rest = append(counts, uint32(n)), rest[n:]
		if err := w.end(); err != nil {
			return err
		}
	}
	level := byte(1)
	for child := first; len(counts) > 1; {
		level++
		below := counts
		counts = nil
		for len(below) > 0 {
			part := below[:min(len(below), int(w.fanOut()))]
			below = below[len(part):]
			total := uint32(0)
			for _, n := range part {
				total += n
			}
			w.begin(typeRecnoInternal, level, total, 0) // the count stands where leaves have the previous page
			for _, n := range part {
				b := w.item(8)
				binary.LittleEndian.PutUint32(b, child)
				binary.LittleEndian.PutUint32(b[4:], n)
				child++
			}
			counts = append(counts, total)
			if err := w.end(); err != nil {
				return err
			}
		}
	}
	for _, i := range set {
		if _, v := w.recs.At(i); len(v) > w.itemLimit() {
			if err := w.writeChain(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// treeItem puts an item on the page of a tree, or a reference to the chain that will stand at page no. It returns the number of
// pages of that chain.
func (w *pageWriter) treeItem(v []byte, no uint32) (pages uint32) {
	b := w.item(w.itemSize(len(v)))
	if len(v) > w.itemLimit() {
		b[2] = btreeOverflow
		binary.LittleEndian.PutUint32(b[4:], no)
		binary.LittleEndian.PutUint32(b[8:], uint32(len(v)))
		return w.chainPages(len(v))
	}
	binary.LittleEndian.PutUint16(b, uint16(len(v)))
	b[2] = btreeData
	copy(b[3:], v)
	return 0
}
