package mailtest

import (
	"testing"
	"time"
)

const waitLimit = 30 * time.Second

// WaitFor waits until cond is true, looking at ever longer intervals of 1 to 50 ms. After thirty seconds the test fails;
// what says what was waited for. In a testing/synctest bubble it takes no real time.
func WaitFor(tb testing.TB, what string, cond func() bool) {
	tb.Helper()
	if !poll(waitLimit, cond) {
		tb.Fatalf("waited %v for %s", waitLimit, what)
	}
}

func poll(limit time.Duration, cond func() bool) bool {
	end := time.Now().Add(limit)
	for pause := time.Millisecond; !cond(); pause = min(2*pause, 50*time.Millisecond) {
		if time.Now().After(end) {
			return cond()
		}
		time.Sleep(pause)
	}
	return true
}
