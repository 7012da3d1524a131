package mailertable_test

import (
	"testing"

	"github.com/mtakit/mtakit/internal/vectorworld"
)

func TestVectors(t *testing.T) { vectorworld.Run(t, "mailertable", nil) }
