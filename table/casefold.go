package table

import "unicode"

// foldUnicode folds UTF-8 by Unicode's full case folding (The Unicode Standard, section 3.13; CaseFolding.txt, statuses C and
// F), as Postfix folds keys.
func foldUnicode(b []byte) []byte {
	i := 0
	for i < len(b) && b[i] < 0x80 && (b[i] < 'A' || b[i] > 'Z') {
		i++
	}
	if i == len(b) {
		return b
	}
	out := append(make([]byte, 0, len(b)+8), b[:i]...)
	for _, r := range string(b[i:]) {
		if s, ok := longFolds[r]; ok {
			out = append(out, s...)
		} else {
			out = append(out, string(foldRune(r))...)
		}
	}
	return out
}

// foldRune folds what folds to one character.
func foldRune(r rune) rune {
	switch {
	case r < 0x80:
		return unicode.ToLower(r)
	case r == 'ı': // its upper case is I, but it does not fold to i
		return r
	case unicode.Is(unicode.Cherokee, r): // the one script whose letters fold to upper case
		return unicode.ToUpper(r)
	}
	return unicode.ToLower(unicode.ToUpper(r))
}

// longFolds are the characters that fold to several.
var longFolds = map[rune]string{
	'ß': "ss", 'İ': "i\u0307", 'ŉ': "ʼn", 'ǰ': "j\u030c", 'ΐ': "ι\u0308\u0301", 'ΰ': "υ\u0308\u0301",
	'և': "եւ", 'ẖ': "h\u0331", 'ẗ': "t\u0308", 'ẘ': "w\u030a", 'ẙ': "y\u030a", 'ẚ': "aʾ",
	'ẞ': "ss", 'ὐ': "υ\u0313", 'ὒ': "υ\u0313\u0300", 'ὔ': "υ\u0313\u0301", 'ὖ': "υ\u0313\u0342", 'ᾀ': "ἀι",
	'ᾁ': "ἁι", 'ᾂ': "ἂι", 'ᾃ': "ἃι", 'ᾄ': "ἄι", 'ᾅ': "ἅι", 'ᾆ': "ἆι",
	'ᾇ': "ἇι", 'ᾈ': "ἀι", 'ᾉ': "ἁι", 'ᾊ': "ἂι", 'ᾋ': "ἃι", 'ᾌ': "ἄι",
	'ᾍ': "ἅι", 'ᾎ': "ἆι", 'ᾏ': "ἇι", 'ᾐ': "ἠι", 'ᾑ': "ἡι", 'ᾒ': "ἢι",
	'ᾓ': "ἣι", 'ᾔ': "ἤι", 'ᾕ': "ἥι", 'ᾖ': "ἦι", 'ᾗ': "ἧι", 'ᾘ': "ἠι",
	'ᾙ': "ἡι", 'ᾚ': "ἢι", 'ᾛ': "ἣι", 'ᾜ': "ἤι", 'ᾝ': "ἥι", 'ᾞ': "ἦι",
	'ᾟ': "ἧι", 'ᾠ': "ὠι", 'ᾡ': "ὡι", 'ᾢ': "ὢι", 'ᾣ': "ὣι", 'ᾤ': "ὤι",
	'ᾥ': "ὥι", 'ᾦ': "ὦι", 'ᾧ': "ὧι", 'ᾨ': "ὠι", 'ᾩ': "ὡι", 'ᾪ': "ὢι",
	'ᾫ': "ὣι", 'ᾬ': "ὤι", 'ᾭ': "ὥι", 'ᾮ': "ὦι", 'ᾯ': "ὧι", 'ᾲ': "ὰι",
	'ᾳ': "αι", 'ᾴ': "άι", 'ᾶ': "α\u0342", 'ᾷ': "α\u0342ι", 'ᾼ': "αι", 'ῂ': "ὴι",
	'ῃ': "ηι", 'ῄ': "ήι", 'ῆ': "η\u0342", 'ῇ': "η\u0342ι", 'ῌ': "ηι", 'ῒ': "ι\u0308\u0300",
	'ΐ': "ι\u0308\u0301", 'ῖ': "ι\u0342", 'ῗ': "ι\u0308\u0342", 'ῢ': "υ\u0308\u0300", 'ΰ': "υ\u0308\u0301", 'ῤ': "ρ\u0313",
	'ῦ': "υ\u0342", 'ῧ': "υ\u0308\u0342", 'ῲ': "ὼι", 'ῳ': "ωι", 'ῴ': "ώι", 'ῶ': "ω\u0342",
	'ῷ': "ω\u0342ι", 'ῼ': "ωι", 'ﬀ': "ff", 'ﬁ': "fi", 'ﬂ': "fl", 'ﬃ': "ffi",
	'ﬄ': "ffl", 'ﬅ': "st", 'ﬆ': "st", 'ﬓ': "մն", 'ﬔ': "մե", 'ﬕ': "մի",
	'ﬖ': "վն", 'ﬗ': "մխ",
}
