// Package queue keeps messages safe from the moment they are accepted until each recipient is settled.
package queue
