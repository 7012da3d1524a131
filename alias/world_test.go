package alias_test

import (
	"testing"

	"github.com/mtakit/mtakit/internal/vectorworld"
)

func TestVectorsAlias(t *testing.T) {
	vectorworld.Run(t, "alias", func(op string) bool { return op != "expand" })
}
