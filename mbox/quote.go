package mbox

import "bytes"

// fromWord begins a separator.
const fromWord = "From "

// A quoter puts ">" before the lines that a reader could take for a separator. Text comes in pieces of any size; a
// line may be cut anywhere. The zero value stands at the beginning of a line.
//
// Only an "F" can betray such a line, so that is what is searched for: there are few of them, and bytes.IndexByte
// looks at 32 bytes at a time.
type quoter struct {
	deep  bool // mboxrd: lines that are quoted already get one more
	state lineState
	match int // this many bytes of fromWord were seen at the beginning of a line, and are held back
}

type lineState uint8

const (
	atStart  lineState = iota // nothing of the line was seen yet
	afterGTs                  // one ">" or more, and nothing else
	inLine
)

// append appends src to dst, quoted.
func (q *quoter) append(dst, src []byte) []byte {
	if q.match > 0 {
		dst, src = q.resume(dst, src)
	}
	begin := 0 // src[:begin] is in dst
	for p := 0; p < len(src); p++ {
		i := bytes.IndexByte(src[p:], 'F')
		if i < 0 {
			break
		}
		p += i
		if !q.startsLine(src, p) {
			continue
		}
		n := matchFrom(src[p:])
		switch {
		case n == len(fromWord):
			dst = append(dst, src[begin:p]...)
			dst = append(dst, '>')
			begin = p
		case p+n == len(src): // cut within the word
			dst = append(dst, src[begin:p]...)
			q.match = n
			return dst
		}
	}
	q.leave(src)
	return append(dst, src[begin:]...)
}

// resume goes on with a word that the end of the last piece had cut.
func (q *quoter) resume(dst, src []byte) (_, rest []byte) {
	n := 0
	for n < len(src) && q.match+n < len(fromWord) && src[n] == fromWord[q.match+n] {
		n++
	}
	if q.match+n < len(fromWord) && n == len(src) { // still cut
		q.match += n
		return dst, nil
	}
	if q.match+n == len(fromWord) {
		dst = append(dst, '>')
	}
	dst = append(dst, fromWord[:q.match]...)
	q.match = 0
	q.state = inLine
	return dst, src
}

// finish appends what was held back.
func (q *quoter) finish(dst []byte) []byte {
	dst = append(dst, fromWord[:q.match]...)
	if q.match > 0 {
		q.match, q.state = 0, inLine
	}
	return dst
}

// startsLine reports whether the word at src[p:] stands at the beginning of a line that must be quoted.
func (q *quoter) startsLine(src []byte, p int) bool {
	k := p
	if q.deep {
		for k > 0 && src[k-1] == '>' {
			k--
		}
	}
	if k > 0 {
		return src[k-1] == '\n'
	}
	return q.state == atStart || q.deep && q.state == afterGTs
}

// leave notes how the line stands at the end of src.
func (q *quoter) leave(src []byte) {
	k := len(src)
	for k > 0 && src[k-1] == '>' {
		k--
	}
	switch {
	case k > 0 && src[k-1] != '\n':
		q.state = inLine
	case k < len(src): // src ends in ">" after a line's beginning, or consists of them
		if k > 0 || q.state != inLine {
			q.state = afterGTs
		}
	case k > 0:
		q.state = atStart
	}
}

// matchFrom returns how many bytes of b agree with "From ".
func matchFrom(b []byte) int {
	n := 0
	for n < len(b) && n < len(fromWord) && b[n] == fromWord[n] {
		n++
	}
	return n
}
