//go:build race

package queue

// raceEnabled shortens tests that have no concurrency to show.
const raceEnabled = true
