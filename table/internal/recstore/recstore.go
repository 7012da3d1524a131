// Package recstore keeps the records of a map that is being built: keys and values one behind the other in large chunks, and
// for each record a few numbers. It needs little more memory than the records themselves.
package recstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"

	"github.com/mtakit/mtakit/table"
)

const (
	firstChunk  = 1 << 20
	chunkBits   = 22 // all chunks but the first have this many bytes, as a power of two
	chunkSize   = 1 << chunkBits
	maxChunks   = 1 << (32 - chunkBits + alignBits)
	alignBits   = 1  // records begin at multiples of 2 bytes
	segmentBits = 14 // records per segment, as a power of two
	segmentSize = 1 << segmentBits
	gone        = ^Ref(0)
)

// Store holds records in the order of input.
type Store struct {
	dup     table.Duplicates
	nul     bool
	group   bool
	chunks  [][]byte
	segs    [][]entry
	n       int      // records, replaced ones included
	live    int      // records that count
	index   []uint64 // open addressing: hash<<32 | record number + 1; nil when keys may repeat and need not be grouped
	shift   uint8    // 32 - log2(len(index))
	more    map[Ref][]Ref
	follows map[uint32]struct{} // records that are in more
}

// entry says where a record is.
type entry struct {
	hash uint32
	ref  Ref
}

// Ref is where a record's bytes are: the number of the chunk, and the offset there in units of 2 bytes.
type Ref uint32

// Options of a Store.
type Options struct {
	Duplicates table.Duplicates
	NUL        bool // append a NUL byte to every key and value
	Group      bool // with table.KeepAll, collect the records of one key behind its first
}

// New returns an empty Store.
func New(o Options) *Store {
	s := &Store{dup: o.Duplicates, nul: o.NUL, group: o.Group}
	if o.Duplicates != table.KeepAll || o.Group {
		s.resize(10)
	}
	return s
}

// Put adds a record whose key, the NUL included, has the given hash. With table.KeepFirst it refuses a key that is there
// already.
func (s *Store) Put(hash uint32, key, value []byte) error {
	if err := s.makeRoom(len(key) + len(value)); err != nil {
		return err
	}
	if s.index == nil {
		s.add(hash, key, value)
		return nil
	}
	slot, old := s.find(hash, key)
	if old >= 0 {
		switch s.dup {
		case table.KeepFirst:
			return table.DuplicateError(string(key))
		case table.KeepAll:
			if s.more == nil {
				s.more, s.follows = make(map[Ref][]Ref), make(map[uint32]struct{})
			}
			s.follows[uint32(s.n)] = struct{}{}
			s.add(hash, key, value)
			head := s.at(old).ref
			s.more[head] = append(s.more[head], s.at(s.n-1).ref)
			return nil
		}
		s.at(old).ref = gone
		s.live--
	}
	s.index[slot] = uint64(hash)<<32 | uint64(uint32(s.n)+1)
	s.add(hash, key, value)
	if s.n > len(s.index)/4*3 {
		s.resize(33 - s.shift)
	}
	return nil
}

// Has reports whether there is a record whose key, the NUL included, has the given hash. It needs the index.
func (s *Store) Has(hash uint32, key []byte) bool {
	if s.index == nil {
		return false
	}
	_, rec := s.find(hash, key)
	return rec >= 0
}

// find returns the slot for a key and the record that is there, -1 if none.
func (s *Store) find(hash uint32, key []byte) (slot uint32, rec int) {
	mask := uint32(len(s.index) - 1)
	slot = s.slot(hash)
	for s.index[slot] != 0 {
		rec = int(uint32(s.index[slot]) - 1)
		if uint32(s.index[slot]>>32) == hash && s.sameKey(rec, key) {
			return slot, rec
		}
		slot = (slot + 1) & mask
	}
	return slot, -1
}

// slot spreads hash values that differ in few bits.
func (s *Store) slot(hash uint32) uint32 { return hash * 0x9e3779b1 >> s.shift }

func (s *Store) sameKey(rec int, key []byte) bool {
	k, _ := s.At(s.at(rec).ref)
	if s.nul {
		k = k[:len(k)-1]
	}
	return bytes.Equal(k, key)
}

// resize makes an index of 1<<bits slots.
func (s *Store) resize(bits uint8) {
	old := s.index
	s.index = Huge[uint64](1 << bits)[:1<<bits]
	s.shift = 32 - bits
	mask := uint32(len(s.index) - 1)
	for _, e := range old {
		if e == 0 {
			continue
		}
		slot := s.slot(uint32(e >> 32))
		for s.index[slot] != 0 {
			slot = (slot + 1) & mask
		}
		s.index[slot] = e
	}
}

// makeRoom sees to it that the last chunk has room for a record with so many bytes of key and value.
func (s *Store) makeRoom(n int) error {
	size := 2*binary.MaxVarintLen32 + n + 2 + 1<<alignBits
	last := len(s.chunks) - 1
	switch {
	case last >= 0 && cap(s.chunks[last])-len(s.chunks[last]) >= size:
		return nil
	case last+1 == maxChunks:
		return fmt.Errorf("%w: the records take more than %d GiB of memory", table.ErrTooLarge, maxChunks<<chunkBits>>30)
	case last < 0:
		s.chunks = append(s.chunks, make([]byte, 0, max(firstChunk, size)))
	default:
		s.chunks = append(s.chunks, Huge[byte](max(chunkSize, size)))
	}
	return nil
}

// add appends a record, for which there is room.
func (s *Store) add(hash uint32, key, value []byte) {
	last := len(s.chunks) - 1
	b := s.chunks[last]
	b = b[:(len(b)+1<<alignBits-1)>>alignBits<<alignBits]
	e := entry{hash, Ref(last<<(chunkBits-alignBits) | len(b)>>alignBits)}
	kn, vn := len(key), len(value)
	if s.nul {
		kn, vn = kn+1, vn+1
	}
	b = binary.AppendUvarint(b, uint64(kn))
	b = binary.AppendUvarint(b, uint64(vn))
	b = append(b, key...)
	if s.nul {
		b = append(b, 0)
	}
	b = append(b, value...)
	if s.nul {
		b = append(b, 0)
	}
	s.chunks[last] = b
	if s.n>>segmentBits == len(s.segs) {
		s.segs = append(s.segs, make([]entry, 0, segmentSize))
	}
	seg := &s.segs[s.n>>segmentBits]
	*seg = append(*seg, e)
	s.n++
	s.live++
}

func (s *Store) at(i int) *entry { return &s.segs[i>>segmentBits][i&(segmentSize-1)] }

// Len returns the number of records that count.
func (s *Store) Len() int { return s.live }

// Slots returns the number of records ever put; numbers of records are below it.
func (s *Store) Slots() int { return s.n }

// Live reports whether record i still counts.
func (s *Store) Live(i int) bool { return s.at(i).ref != gone }

// Head reports whether record i counts and is the first of its key.
func (s *Store) Head(i int) bool {
	if s.follows != nil {
		if _, ok := s.follows[uint32(i)]; ok {
			return false
		}
	}
	return s.at(i).ref != gone
}

// More returns the records that have the key of the head at ref, in the order of input, without the head.
func (s *Store) More(ref Ref) []Ref {
	if s.more == nil {
		return nil
	}
	return s.more[ref]
}

// Hash returns the hash value of record i.
func (s *Store) Hash(i int) uint32 { return s.at(i).hash }

// Ref returns where record i is.
func (s *Store) Ref(i int) Ref { return s.at(i).ref }

// At returns key and value of the record at ref, each with its NUL.
func (s *Store) At(ref Ref) (key, value []byte) {
	b := s.chunks[ref>>(chunkBits-alignBits)][int(ref)<<alignBits&(chunkSize-1):]
	kn, n := uvarint(b)
	vn, m := uvarint(b[n:])
	b = b[n+m:]
	return b[:kn:kn], b[kn : kn+vn : kn+vn]
}

// Touch reads where the record at ref begins and where a usual one ends. Doing so for many records before the first of them is
// used lets the processor fetch them at the same time.
func (s *Store) Touch(ref Ref) byte {
	b := s.chunks[ref>>(chunkBits-alignBits)]
	off := int(ref) << alignBits & (chunkSize - 1)
	return b[off] ^ b[min(off+48, len(b)-1)]
}

// uvarint decodes a length; nearly all have one byte.
func uvarint(b []byte) (v, n int) {
	if b[0] < 0x80 {
		return int(b[0]), 1
	}
	u, n := binary.Uvarint(b)
	return int(u), n
}

// Seal frees what only Put needs. Of a large Store it is collected at once, because writing needs as much memory again; that takes
// a moment only, as the records hold no pointers.
func (s *Store) Seal() {
	s.index = nil
	if s.n > 1<<18 {
		runtime.GC()
	}
}
