package table

// Duplicates says what happens to a record whose key is there already.
type Duplicates int

const (
	KeepFirst Duplicates = iota // the first stays, the later one is an error: makemap, postmap
	KeepLast                    // the last stays, silently: makemap -r, postmap -r, newaliases
	KeepAll                     // all stay, in the order of input: makemap -d
)

// Form is the family of grammars a text is read with.
type Form int

const (
	Makemap   Form = iota // makemap(8): one line, one record
	Postmap               // postmap(1): logical lines, quoted keys
	Postalias             // postalias(1): "name: value", names parsed as addresses
)

// Grammar tells how the text of a map is read. The zero value is what makemap does without options.
type Grammar struct {
	// Form is the family; zero is makemap's. Separator, Comment and EmptyValues apply to makemap's alone.
	Form Form
	// Separator is the byte between key and value (makemap -t). Zero means ASCII white space.
	Separator byte
	// Comment is the first byte of a comment line (makemap -D). Zero means '#'.
	Comment byte
	// KeepCase leaves keys as they are (-f). Otherwise A to Z are folded; the Postfix forms fold by Unicode.
	KeepCase bool
	// EmptyValues allows records without a value (makemap -e).
	EmptyValues bool
	// Duplicates is the rule for repeated keys.
	Duplicates Duplicates
	// MaxLine is the number of bytes a logical line of the Postfix forms may have. Zero means 1 MiB.
	MaxLine int
}

func (g *Grammar) comment() byte {
	if g.Comment == 0 {
		return '#'
	}
	return g.Comment
}

// separates reports whether c ends a key.
func (g *Grammar) separates(c byte) bool {
	if g.Separator != 0 {
		return c == g.Separator
	}
	return isSpace(c)
}

// isSpace is isspace(3) in the C locale without the newline, which never occurs inside a line.
func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' && c != '\n' }
