package alias

import (
	"errors"
	"fmt"
	"strings"
)

// Set returns a file in which key has this value. The value of the entry that counts, the last one with the key, is
// replaced where it stands, whatever lines it was written on; without such an entry a line is added at the end. All other
// bytes stay. The new file is parsed anew, and what is wrong with the old one is not reported again. Errors are about
// key and value: both must be such that the new file gives them back.
func (f *File) Set(key, value string) (*File, error) {
	value = skipSpace(value)
	if strings.ContainsAny(value, "\n\x00") {
		return nil, fmt.Errorf("alias %s: line break or NUL in the value", key)
	}
	text := f.text
	at, ok := f.find(key)
	if ok {
		start, end := f.valueSpan(at)
		if strings.HasSuffix(value, `\`) && end < len(text) {
			return nil, fmt.Errorf("alias %s: a backslash at the end continues the line", key)
		}
		text = text[:start] + value + text[end:]
	} else {
		if text != "" && text[len(text)-1] != '\n' {
			if text[len(text)-1] == '\\' {
				return nil, errors.New("the last line ends in a backslash: nothing can be added behind it")
			}
			text += "\n"
		}
		at = len(text)
		text += key + ": " + value + "\n"
	}
	return f.changed(text, key, value, at)
}

// Remove returns a file without any entry for key. All other bytes stay.
func (f *File) Remove(key string) (*File, error) {
	var b strings.Builder
	s := scanner{text: f.text, max: f.parser.maxLine()}
	for l, ok := s.next(); ok; l, ok = s.next() {
		if k, found := f.keyAt(l); !found || k != key || l.value(f.text) == "" {
			b.WriteString(f.text[l.start:s.pos])
		}
	}
	return f.changed(b.String(), key, "", -1)
}

// valueSpan returns the place of the value of the entry at an offset.
func (f *File) valueSpan(at int) (start, end int) {
	s := scanner{text: f.text, max: f.parser.maxLine(), pos: at}
	l, _ := s.next()
	start = l.start + strings.IndexByte(f.text[l.start:l.end], ':') + 1
	for start < l.end && isSpace(f.text[start]) && f.text[start] != '\n' {
		start++
	}
	return start, l.end
}

// changed parses the new text and makes sure that it says what was asked for, and nothing else: the entry for key is the one
// at this offset (negative: there is none), and there are no more and no fewer keys than there should be.
func (f *File) changed(text, key, value string, offset int) (*File, error) {
	n, err := f.parser.Parse(strings.NewReader(text), f.name)
	if n == nil {
		return nil, err
	}
	want := f.Len()
	if _, had := f.find(key); had {
		want--
	}
	at, ok := n.find(key)
	if ok {
		want++
	}
	if ok != (offset >= 0) || ok && (at != offset || n.valueOf(at) != value) || n.Len() != want {
		return nil, fmt.Errorf("alias %s: cannot be written with the value %q", key, value)
	}
	return n, nil
}
