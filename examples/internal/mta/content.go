package mta

import (
	"bytes"
	"context"
	"io"
)

// content is a message on its way through this process: header with our trace fields, and body, with LF line ends.
type content struct {
	header []byte // fields, without the empty line
	memory []byte // header, empty line and body, when all of it is in memory; else nil
	body   func() io.Reader
	size   int64 // of header, empty line and body
}

// newContent joins trace, header and body. A body in memory is copied, so that the message may outlive its source;
// one in a file is read through body as long as its source lives.
func newContent(header, memBody []byte, inMemory bool, body func() io.Reader, bodySize int64) *content {
	c := &content{size: int64(len(header)) + 1 + bodySize}
	if !inMemory {
		c.header, c.body = header, body
		return c
	}
	c.memory = make([]byte, 0, c.size)
	c.memory = append(c.memory, header...)
	c.memory = append(c.memory, '\n')
	c.memory = append(c.memory, memBody...)
	c.header = c.memory[:len(header):len(header)]
	c.body = func() io.Reader { return bytes.NewReader(c.memory[len(header)+1:]) }
	return c
}

// Open gives the whole message from its beginning.
func (c *content) Open(context.Context) (io.ReadCloser, error) {
	if c.memory != nil {
		return memoryReader{bytes.NewReader(c.memory)}, nil
	}
	return io.NopCloser(io.MultiReader(bytes.NewReader(c.header), bytes.NewReader([]byte("\n")), c.body())), nil
}

// memoryReader keeps the WriteTo of bytes.Reader, which io.NopCloser would only keep by chance of its wrapper.
type memoryReader struct{ *bytes.Reader }

func (memoryReader) Close() error { return nil }
