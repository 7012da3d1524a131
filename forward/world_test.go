package forward_test

import (
	"testing"

	"github.com/mtakit/mtakit/internal/vectorworld"
)

func TestVectorsForward(t *testing.T) {
	vectorworld.Run(t, "forward", func(op string) bool { return op != "expand" })
}
