package alias

import (
	"math/bits"
	"strings"
)

// index finds entries by key: an open hash table of offsets into the file's text. Nothing of the text is copied, so
// that a table costs five bytes for each slot beside its text, about seven for an entry.
type index struct {
	slots []uint32 // offset of the entry's line, plus one; zero is free
	tags  []uint8  // some bits of the hash, to look at the text only when they agree
	used  int
}

func (x *index) init(entries int) {
	n := entries + entries/2 + 1
	*x = index{slots: make([]uint32, n), tags: make([]uint8, n)}
}

// hash is FNV-1a, mixed so that its high bits are good, too.
func hash(key string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(key); i++ {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	h ^= h >> 32
	return h * 0x9e3779b97f4a7c15
}

// place returns where a search for h begins.
func (x *index) place(h uint64) (slot int, tag uint8) {
	hi, _ := bits.Mul64(h, uint64(len(x.slots)))
	return int(hi), uint8(h >> 8)
}

// lineIndex tells the number of the line at an offset: it holds the number of newlines before each block.
type lineIndex []uint32

const lineBlock = 4096

func (x *lineIndex) init(text string) {
	*x = make(lineIndex, 0, len(text)/lineBlock+1)
	n := 0
	for at := 0; at < len(text); at += lineBlock {
		*x = append(*x, uint32(n))
		n += strings.Count(text[at:min(at+lineBlock, len(text))], "\n")
	}
}

func (x lineIndex) at(text string, offset int) int {
	block := offset / lineBlock
	return 1 + int(x[block]) + strings.Count(text[block*lineBlock:offset], "\n")
}
