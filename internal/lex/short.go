package lex

// AppendShort appends s, or when it has n or more bytes its head, "..." and its tail, each (n-3)/2 bytes long. n is
// at most 203. sendmail: shortenstring.
func AppendShort(dst []byte, s string, n int) []byte {
	n = min(n, 203)
	if len(s) < n {
		return append(dst, s...)
	}
	half := (n - 3) / 2
	dst = append(dst, s[:half]...)
	dst = append(dst, "..."...)
	return append(dst, s[len(s)-half:]...)
}

// Short is AppendShort for a string.
func Short(s string, n int) string {
	if len(s) < n {
		return s
	}
	return string(AppendShort(nil, s, n))
}

// ShortFile is the length from which on sendmail's messages show the name of a file shortened (Short).
const ShortFile = 83
