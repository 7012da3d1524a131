// Package recstore keeps the records of a map that is being built: keys and values one behind the other in large chunks, and
// for each record a few numbers. It needs little more memory than the records themselves.
package recstore

import (
	"bytes"
	"encoding/binary"
	"runtime"

	"github.com/mtakit/mtakit/table"
)

const (
	chunkSize   = 1 << 20
	segmentBits = 14 // records per segment, as a power of two
	segmentSize = 1 << segmentBits
	gone        = ^uint32(0)
	follower    = 1 << 31 // in entry.off: another record has the same key and stands before it
)

// Store holds records in the order of input.
type Store struct {
	dup    table.Duplicates
	nul    bool
	group  bool
	chunks [][]byte
	segs   [][]entry
	n      int      // records, replaced ones included
	live   int      // records that count
	index  []uint64 // open addressing: hash<<32 | record number + 1; nil when keys may repeat and need not be grouped
	shift  uint8    // 32 - log2(len(index))
	more   map[uint32][]uint32
}

// entry says where a record is.
type entry struct{ hash, chunk, off uint32 }

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
				s.more = make(map[uint32][]uint32)
			}
			s.more[uint32(old)] = append(s.more[uint32(old)], uint32(s.n))
			s.add(hash, key, value)
			s.at(s.n - 1).off |= follower
			return nil
		}
		s.at(old).chunk = gone
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
	k, _ := s.Record(rec)
	if s.nul {
		k = k[:len(k)-1]
	}
	return bytes.Equal(k, key)
}

// resize makes an index of 1<<bits slots.
func (s *Store) resize(bits uint8) {
	old := s.index
	s.index = make([]uint64, 1<<bits)
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

// add appends a record.
func (s *Store) add(hash uint32, key, value []byte) {
	size := 2*binary.MaxVarintLen32 + len(key) + len(value) + 2
	if last := len(s.chunks) - 1; last < 0 || cap(s.chunks[last])-len(s.chunks[last]) < size {
		s.chunks = append(s.chunks, make([]byte, 0, max(chunkSize, size)))
	}
	last := len(s.chunks) - 1
	b := s.chunks[last]
	e := entry{hash, uint32(last), uint32(len(b))}
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
func (s *Store) Live(i int) bool { return s.at(i).chunk != gone }

// Head reports whether record i counts and is the first of its key.
func (s *Store) Head(i int) bool {
	e := s.at(i)
	return e.chunk != gone && e.off&follower == 0
}

// More returns the records that have the key of head i, in the order of input, without i itself.
func (s *Store) More(i int) []uint32 {
	if s.more == nil {
		return nil
	}
	return s.more[uint32(i)]
}

// Hash returns the hash value of record i.
func (s *Store) Hash(i int) uint32 { return s.at(i).hash }

// Record returns key and value of record i, each with its NUL.
func (s *Store) Record(i int) (key, value []byte) { return s.At(s.Ref(i)) }

// Ref is where a record's bytes are: it saves looking that up each time.
type Ref uint64

// Ref returns where record i is.
func (s *Store) Ref(i int) Ref {
	e := s.at(i)
	return Ref(e.chunk)<<32 | Ref(e.off&^follower)
}

// At returns key and value of the record at ref, each with its NUL.
func (s *Store) At(ref Ref) (key, value []byte) {
	b := s.chunks[ref>>32][uint32(ref):]
	kn, n := uvarint(b)
	vn, m := uvarint(b[n:])
	b = b[n+m:]
	return b[:kn:kn], b[kn : kn+vn : kn+vn]
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
