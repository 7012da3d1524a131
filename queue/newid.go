package queue

// NewID returns a queue id that no other message of this process has or had, for a message that may never come into
// a store, or whose trace fields are written before its Draft exists (Envelope.ID).
func NewID() ID { return newID() }
