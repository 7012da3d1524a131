package mtakit_test

import (
	"testing"

	"github.com/mtakit/mtakit/internal/vectorworld"
)

func TestVectorsResolver(t *testing.T) { vectorworld.Run(t, "resolver", nil) }
