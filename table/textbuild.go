package table

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

// textBuilder writes the records of a map as text, which makemap -u does for binary maps.
type textBuilder struct {
	t Text
	o BuildOptions
}

func newTextBuilder(o BuildOptions) *textBuilder {
	return &textBuilder{t: Text{index: make(map[string]int)}, o: o}
}

// Put adds a record. A key or value that a line cannot hold is an error.
func (b *textBuilder) Put(key, value []byte) error {
	if err := fitsLine(key, value); err != nil {
		return err
	}
	return b.t.add(Record{Key: string(key), Value: string(value)}, b.o.Duplicates)
}

func (b *textBuilder) Len() int { return b.t.Len() }

// WriteTo writes "key<TAB>value" lines.
func (b *textBuilder) WriteTo(w io.Writer) (int64, error) {
	out := bufio.NewWriterSize(w, 64<<10)
	var n int64
	for rec := range b.t.All() {
		for _, s := range [...]string{rec.Key, "\t", rec.Value, "\n"} {
			k, err := out.WriteString(s)
			n += int64(k)
			if err != nil {
				return n, err
			}
		}
	}
	return n, out.Flush()
}

// fitsLine reports why a record cannot stand on a line of makemap's text.
func fitsLine(key, value []byte) error {
	switch {
	case len(key)+len(value)+2 > maxLine:
		return ErrLineTooLong
	case len(key) == 0 || key[0] == '#' || bytes.ContainsAny(key, " \t\n\v\f\r\x00"):
		return fmt.Errorf("key %q cannot be written as text", key)
	case len(value) > 0 && isSpace(value[0]) || bytes.ContainsAny(value, "\n\x00"):
		return fmt.Errorf("value of key %q cannot be written as text", key)
	}
	return nil
}
