//go:build !unix

package queue

import "time"

// cpuTime is not measured here.
func cpuTime() time.Duration { return 0 }
