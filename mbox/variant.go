package mbox

import "fmt"

// Variant is one of the four mbox formats, which differ in how a body line that looks like a separator is kept
// apart from one.
type Variant uint8

// The variants. The zero value is MboxRD, the only one that quotes and gives back every message unchanged.
const (
	MboxRD  Variant = iota // any line matching ">*From " gets one ">" more
	MboxO                  // only "From " becomes ">From "; reading cannot tell the two apart
	MboxCL                 // as MboxO, and a Content-Length field with the bytes of the stored body
	MboxCL2                // Content-Length, and nothing is quoted
)

var variantNames = [...]string{MboxRD: "mboxrd", MboxO: "mboxo", MboxCL: "mboxcl", MboxCL2: "mboxcl2"}

// String returns the usual name: mboxo, mboxrd, mboxcl or mboxcl2.
func (v Variant) String() string {
	if int(v) < len(variantNames) {
		return variantNames[v]
	}
	return fmt.Sprintf("Variant(%d)", uint8(v))
}

// ParseVariant reads the names that String prints.
func ParseVariant(s string) (Variant, error) {
	for v, name := range variantNames {
		if s == name {
			return Variant(v), nil
		}
	}
	return 0, fmt.Errorf("%q is not an mbox variant (mboxo, mboxrd, mboxcl, mboxcl2)", s)
}

// HasLength reports whether messages carry a Content-Length field.
func (v Variant) HasLength() bool { return v == MboxCL || v == MboxCL2 }

// Quotes reports whether look-alikes of separators are quoted with ">".
func (v Variant) Quotes() bool { return v != MboxCL2 }
