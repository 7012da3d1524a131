package bdb

import (
	"bytes"
	"sync/atomic"
)

// seenPage is what a Reader remembers of a hash page that it met and found sound: a byte of the hash of each key, in the order of
// the page. So a look-up touches the page only where its key probably is, and not at all when the key is absent.
type seenPage struct {
	prev, next uint32
	tags       []byte
}

// seenPages has the seen pages of a file by number, in groups that are made when they are needed.
type seenPages []atomic.Pointer[seenGroup]

type seenGroup [seenGroupSize]atomic.Pointer[seenPage]

const seenGroupSize = 1024

// newSeenPages returns the empty memory for a file. Pages with checksums are checked each time, and so not remembered.
func newSeenPages(m *Meta) seenPages {
	if m.Checksum {
		return nil
	}
	return make(seenPages, m.LastPage/seenGroupSize+1)
}

func (s seenPages) get(no uint32) *seenPage {
	if int64(no/seenGroupSize) >= int64(len(s)) {
		return nil
	}
	g := s[no/seenGroupSize].Load()
	if g == nil {
		return nil
	}
	return g[no%seenGroupSize].Load()
}

func (s seenPages) put(no uint32, p *seenPage) {
	at := &s[no/seenGroupSize]
	if at.Load() == nil {
		at.CompareAndSwap(nil, new(seenGroup))
	}
	at.Load()[no%seenGroupSize].Store(p)
}

// tag is the byte of a hash value that is remembered: not one of those that all keys of a bucket have.
func tag(h uint32) byte { return byte(h >> 24) }

// remember keeps the tags of a page, unless something about it is not as it should be, or a key stands elsewhere.
func (r *Reader) remember(p *page, prev uint32) {
	if r.pages == nil || r.budget != nil {
		return
	}
	low, end := p.at+2*p.n, len(p.b)
	tags := make([]byte, p.n/2)
	var last []byte
	for i := range tags {
		start, dataStart := r.offset(p, 2*i), r.offset(p, 2*i+1)
		if start >= end || dataStart >= start || dataStart < low || p.b[start] != itemData {
			return
		}
		key := p.b[start+1 : end]
		if i > 0 && p.kind == typeHash && compareHashKeys(last, key) >= 0 {
			return // bisection might find another of two equal keys
		}
		tags[i] = tag(hash(key))
		last, end = key, dataStart
	}
	r.pages.put(p.no, &seenPage{prev, p.next, tags})
}

// searchSeen searches a page that is remembered.
func (r *Reader) searchSeen(no uint32, seen *seenPage, h uint32, key []byte) (value []byte, ok bool, err error) {
	var p page
	for i := 0; ; i++ {
		n := bytes.IndexByte(seen.tags[i:], tag(h))
		if n < 0 {
			return nil, false, nil
		}
		i += n
		if p.b == nil {
			b, err := r.src.Read(int64(no)*int64(r.meta.PageSize), r.meta.PageSize)
			if err != nil {
				return nil, false, err
			}
			p = page{no: no, b: b, n: 2 * len(seen.tags), at: headerSize}
		}
		end := len(p.b)
		if i > 0 {
			end = r.offset(&p, 2*i-1)
		}
		item, start, err := r.hashItem(&p, 2*i, end)
		if err != nil {
			return nil, false, err
		}
		if len(item) != 1+len(key) || string(item[1:]) != string(key) {
			continue
		}
		data, at, err := r.hashItem(&p, 2*i+1, start)
		if err != nil {
			return nil, false, err
		}
		return r.firstHashValue(&p, at, data)
	}
}
