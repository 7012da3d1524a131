//go:build unix && !(linux && (amd64 || arm64))

package mapfile

// look returns the state of the open file.
func (c *content) look() (now stamp, ok bool) {
	fi, err := c.f.Stat()
	if err != nil {
		return now, false
	}
	return stampOf(fi), true
}
