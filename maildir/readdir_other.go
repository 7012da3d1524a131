//go:build !linux

package maildir

import (
	"io"
	"iter"
	"os"
)

func streamDir(dir string) iter.Seq2[dirent, error] {
	return func(yield func(dirent, error) bool) {
		f, err := os.Open(dir)
		if err != nil {
			yield(dirent{}, err)
			return
		}
		defer f.Close()
		for {
			block, err := f.ReadDir(1024)
			for _, e := range block {
				if !yield(dirent{e.Name(), e.Type()}, nil) {
					return
				}
			}
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(dirent{}, err)
				return
			}
		}
	}
}
