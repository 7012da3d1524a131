package logfmt

import "strconv"

// Limits of one line, from sendmail's SYSLOG_BUFSIZE.
const (
	lineSize = 1024
	// overhead is what sendmail sets aside beside the id for what syslog puts before the text.
	overhead = 42
	maxParts = 999
)

// appendParts appends the text of one record, already escaped, as one line or, when it is too long, as several that
// are numbered "ID[1]: … ...", "ID[2]: …". Each gets prefix before it and '\n' behind it. id may be empty.
// sendmail: sm_syslog.
func appendParts(dst, prefix []byte, id string, body []byte) []byte {
	idlen := len(id) + overhead
	if len(body)+idlen+1 < lineSize {
		dst = append(dst, prefix...)
		if id != "" {
			dst = append(dst, id...)
			dst = append(dst, ':', ' ')
		}
		dst = append(dst, body...)
		return append(dst, '\n')
	}
	idlen += 5
	part := func(n int) {
		dst = append(dst, prefix...)
		dst = append(dst, id...)
		dst = append(dst, '[')
		dst = strconv.AppendInt(dst, int64(n), 10)
		dst = append(dst, ']', ':', ' ')
	}
	n := 1
	for ; len(body)+idlen > lineSize && n < maxParts; n++ {
		most := lineSize - idlen - 7
		if most < 1 {
			break // an absurdly long id
		}
		end := most
		for end > 0 && body[end] != ',' && body[end] != ' ' {
			end--
		}
		if end == 0 {
			end = most
		} else {
			end++ // the comma or blank stays with this part
		}
		part(n)
		dst = append(dst, body[:end]...)
		dst = append(dst, " ...\n"...)
		body = body[end:]
	}
	part(n)
	dst = append(dst, body...)
	return append(dst, '\n')
}
