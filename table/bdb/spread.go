package bdb

import (
	"runtime"
	"sync"
)

// segmentSize is how much is written at a time.
const segmentSize = 256 << 10

// spread writes pages that several goroutines make. What they make is n units in a row, each of one page or some.
type spread struct {
	n     uint32
	alone bool // one goroutine makes all pages, in order, because some reserve pages of the appendix
	// first is the number of the first page of unit i; that of unit n is the page behind.
	first func(i uint32) uint32
	// fill makes the pages of units from to to-1 with a writer of its own.
	fill func(w *pageWriter, from, to uint32) error
}

// made is the pages of some units, or why there are none.
type made struct {
	pages []byte
	err   error
}

func (s *spread) run(w *pageWriter) error {
	per := uint32(max(1, segmentSize/w.ps))
	workers := min(uint32(runtime.GOMAXPROCS(0)), 4, (s.n+per-1)/per)
	if s.alone || workers < 2 {
		return s.fill(w, 0, s.n)
	}
	if err := w.flush(); err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := make(chan struct{})
	defer close(stop)
	out := make([]chan made, workers)
	free := make(chan []byte, 2*workers)
	for range cap(free) {
		free <- nil
	}
	for i := range workers {
		out[i] = make(chan made, 1)
		wg.Go(func() { s.work(w, i*per, workers*per, out[i], free, stop) })
	}
	for from := uint32(0); from < s.n; from += per {
		m := <-out[from/per%workers]
		if m.err == nil {
			_, m.err = w.w.Write(m.pages)
		}
		if m.err != nil {
			return m.err
		}
		free <- m.pages[:0]
	}
	w.no = s.first(s.n)
	return nil
}

// work makes every step-th segment from the given unit on.
func (s *spread) work(w *pageWriter, from, step uint32, out chan<- made, free <-chan []byte, stop <-chan struct{}) {
	per := uint32(max(1, segmentSize/w.ps))
	for ; from < s.n; from += step {
		mine := *w
		select {
		case mine.out = <-free:
		case <-stop:
			return
		}
		mine.w, mine.no = nil, s.first(from)
		err := s.fill(&mine, from, min(from+per, s.n))
		select {
		case out <- made{mine.out, err}:
		case <-stop:
			return
		}
	}
}
