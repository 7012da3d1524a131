package bdb

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/mtakit/mtakit/table"
)

// Magic numbers at offset 12 of the metadata page, which also tell the byte order.
const (
	magicHash  = 0x00061561
	magicBtree = 0x00053162
	magicQueue = 0x00042253
	magicHeap  = 0x00074582
)

// Page types.
const (
	typeFree          = 0
	typeHashUnsorted  = 2
	typeBtreeInternal = 3
	typeRecnoInternal = 4
	typeBtreeLeaf     = 5
	typeRecnoLeaf     = 6
	typeOverflow      = 7
	typeHashMeta      = 8
	typeBtreeMeta     = 9
	typeDupLeaf       = 12
	typeHash          = 13
)

const (
	metaSize      = 512 // bytes of page 0 that carry metadata and that its checksum covers
	headerSize    = 26  // bytes before the index of a page
	headerSizeSum = 32  // the same with checksums
	checksumAt    = 28  // where the checksum of a page is
	checksumMeta  = 492 // where that of page 0 is
	minPageSize   = 512
	maxPageSize   = 65536
)

// charkey is hash("%$sniglet^&\x00"), which a file carries to show that it uses the usual function.
const charkey = 0x5e688dd1

// Meta is what the metadata page says.
type Meta struct {
	Type      string // "hash" or "btree"
	Version   int    // 7 to 9
	PageSize  int    // bytes
	BigEndian bool
	Checksum  bool
	// Duplicates and SortedDuplicates say whether keys may repeat.
	Duplicates, SortedDuplicates bool
	LastPage                     uint32
	Free                         uint32 // first page of the free list, 0 for none
	MaxBucket                    uint32 // hash: the highest bucket in use
	Elements                     uint32 // hash: a hint, not the number of records

	highMask, lowMask uint32
	spares            [32]uint32
}

// parseMeta reads and checks page 0. It leaves r.meta filled.
func (r *Reader) parseMeta() error {
	if r.size == 0 {
		return r.fault(table.ErrEmptyFile, 0, 0, "zero bytes")
	}
	b, err := r.src.Read(0, int(min(r.size, metaSize)))
	if err != nil {
		return err
	}
	if err := r.magic(b); err != nil {
		return err
	}
	m := &r.meta
	m.Version = int(r.u32(b[16:]))
	oldest := 8
	if m.Type == "hash" {
		oldest = 7
	}
	if m.Version < oldest || m.Version > 9 {
		return r.fault(table.ErrUnsupportedVersion, 0, 16, "%s version %d", m.Type, m.Version)
	}
	if b[24] != 0 || r.u32(b[460:]) != 0 {
		return r.fault(table.ErrUnsupportedFeature, 0, 24, "the file is encrypted")
	}
	ps := r.u32(b[20:])
	if ps < minPageSize || ps > maxPageSize || ps&(ps-1) != 0 {
		return r.fault(table.ErrCorrupt, 0, 20, "page size %d", ps)
	}
	m.PageSize = int(ps)
	if b[26]&^1 != 0 {
		return r.fault(table.ErrUnsupportedFeature, 0, 26, "the file is partitioned or has unknown flags %#x", b[26])
	}
	if r.u32(b[36:]) != 0 {
		return r.fault(table.ErrUnsupportedFeature, 0, 36, "the file is partitioned")
	}
	if m.Checksum = b[26]&1 != 0; m.Checksum {
		if sum, want := checksum(b, checksumMeta), r.u32(b[checksumMeta:]); sum != want {
			return r.fault(table.ErrCorrupt, 0, checksumMeta, "checksum %#x, want %#x", sum, want)
		}
	}
	if n := r.u32(b[8:]); n != 0 {
		return r.fault(table.ErrCorrupt, 0, 8, "metadata page has number %d", n)
	}
	m.Free, m.LastPage = r.u32(b[28:]), r.u32(b[32:])
	if r.size%int64(ps) != 0 {
		return r.fault(table.ErrTruncated, 0, r.size, "size %d is no multiple of the page size %d", r.size, ps)
	}
	if need := (int64(m.LastPage) + 1) * int64(ps); r.size < need {
		return r.fault(table.ErrTruncated, 0, 32, "size %d, but the last page %d ends at %d", r.size, m.LastPage, need)
	}
	if m.Type == "hash" {
		return r.parseHashMeta(b)
	}
	return r.parseBtreeMeta(b)
}

// magic finds access method and byte order.
func (r *Reader) magic(b []byte) error {
	if len(b) < 16 {
		return r.fault(table.ErrTruncated, 0, 0, "%d bytes, shorter than a metadata page", len(b))
	}
	m := &r.meta
	for _, big := range [...]bool{false, true} {
		r.swap, m.BigEndian = big, big
		switch r.u32(b[12:]) {
		case magicHash:
			m.Type = "hash"
		case magicBtree:
			m.Type = "btree"
		case magicQueue:
			return r.fault(table.ErrUnsupportedFeature, 0, 12, "queue access method")
		case magicHeap:
			return r.fault(table.ErrUnsupportedFeature, 0, 12, "heap access method")
		}
		if m.Type != "" {
			if len(b) < metaSize {
				return r.fault(table.ErrTruncated, 0, 0, "%d bytes, shorter than a metadata page", len(b))
			}
			return nil
		}
	}
	for _, order := range [...]binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if n := order.Uint32(b); n == magicHash || n == magicBtree {
			return r.fault(table.ErrUnsupportedVersion, 0, 0, "Berkeley DB 1.85, version %d", order.Uint32(b[4:]))
		}
	}
	if len(b) < metaSize {
		return r.fault(table.ErrTruncated, 0, 0, "%d bytes, shorter than a metadata page", len(b))
	}
	return r.fault(table.ErrNotDatabase, 0, 12, "no magic number of Berkeley DB")
}

func (r *Reader) parseHashMeta(b []byte) error {
	m := &r.meta
	if b[25] != typeHashMeta {
		return r.fault(table.ErrCorrupt, 0, 25, "page type %d on the metadata page of a hash file", b[25])
	}
	flags := r.u32(b[48:])
	if flags&2 != 0 {
		return r.fault(table.ErrUnsupportedFeature, 0, 48, "the file holds named databases")
	}
	if flags&^7 != 0 {
		return r.fault(table.ErrUnsupportedFeature, 0, 48, "unknown flags %#x", flags)
	}
	m.Duplicates, m.SortedDuplicates = flags&1 != 0, flags&4 != 0
	m.MaxBucket, m.highMask, m.lowMask = r.u32(b[72:]), r.u32(b[76:]), r.u32(b[80:])
	m.Elements = r.u32(b[88:])
	if k := r.u32(b[92:]); k != charkey {
		return r.fault(table.ErrUnsupportedFeature, 0, 92, "another hash function (check value %#x)", k)
	}
	if m.MaxBucket > m.LastPage {
		return r.fault(table.ErrCorrupt, 0, 72, "highest bucket %d, but the last page is %d", m.MaxBucket, m.LastPage)
	}
	high, low := masks(m.MaxBucket)
	if m.highMask != high || m.lowMask != low {
		return r.fault(table.ErrCorrupt, 0, 76, "masks %#x and %#x do not fit the highest bucket %d", m.highMask, m.lowMask, m.MaxBucket)
	}
	for i := range m.spares {
		m.spares[i] = r.u32(b[96+4*i:])
	}
	for i := 0; i <= bits.Len32(m.MaxBucket); i++ {
		last := uint32(1)<<i - 1 // the last bucket of this doubling
		last = min(last, m.MaxBucket)
		if p := uint64(last) + uint64(m.spares[i]); m.spares[i] == 0 || p > uint64(m.LastPage) {
			return r.fault(table.ErrCorrupt, 0, int64(96+4*i), "spares entry %d leads bucket %d to page %d of %d", i, last, p, m.LastPage)
		}
	}
	return nil
}

// masks returns high and low mask for the highest bucket in use.
func masks(maxBucket uint32) (high, low uint32) {
	high = uint32(1)<<bits.Len32(maxBucket) - 1
	return high, high >> 1
}

func (r *Reader) parseBtreeMeta(b []byte) error {
	m := &r.meta
	if b[25] != typeBtreeMeta {
		return r.fault(table.ErrCorrupt, 0, 25, "page type %d on the metadata page of a btree file", b[25])
	}
	flags := r.u32(b[48:])
	for _, f := range [...]struct {
		bit  uint32
		what string
	}{
		{2, "recno access method"}, {4, "record numbers"}, {8, "fixed length records"}, {0x10, "renumbered records"},
		{0x20, "the file holds named databases"}, {0x80, "the file is compressed"}, {^uint32(0xff), "unknown flags"},
	} {
		// Record numbers only add counts, which look-ups do not need.
		if flags&f.bit != 0 && f.bit != 4 {
			return r.fault(table.ErrUnsupportedFeature, 0, 48, "%s (flags %#x)", f.what, flags)
		}
	}
	m.Duplicates, m.SortedDuplicates = flags&1 != 0, flags&0x40 != 0
	if root := r.u32(b[88:]); root != 1 || m.LastPage < 1 {
		return r.fault(table.ErrCorrupt, 0, 88, "root page %d of %d", root, m.LastPage)
	}
	return nil
}

// u16 and u32 read integers in the byte order of the file.
func (r *Reader) u16(b []byte) uint16 {
	v := binary.LittleEndian.Uint16(b)
	if r.swap {
		return bits.ReverseBytes16(v)
	}
	return v
}

func (r *Reader) u32(b []byte) uint32 {
	v := binary.LittleEndian.Uint32(b)
	if r.swap {
		return bits.ReverseBytes32(v)
	}
	return v
}

// checksum is Berkeley DB's own, over b with the four bytes at the given offset taken as zero.
func checksum(b []byte, at int) uint32 {
	h := uint32(0)
	for i, c := range b {
		if i >= at && i < at+4 {
			c = 0
		}
		h = 33*h + uint32(c)
	}
	return h
}

// fault makes a FormatError; off is within the page.
func (r *Reader) fault(kind error, page uint32, off int64, format string, args ...any) error {
	if page > 0 {
		off += int64(page) * int64(r.meta.PageSize)
	}
	return &table.FormatError{File: r.name, Page: int64(page), Offset: off, Kind: kind, Reason: fmt.Sprintf(format, args...)}
}
