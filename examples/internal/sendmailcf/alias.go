package sendmailcf

import "strings"

// AliasOptions are the options that concern alias files.
type AliasOptions struct {
	AliasFile    string
	CheckAliases bool
	TrustedUser  string
	DontBlame    string // DontBlameSendmail
}

// Aliases returns the options that concern alias files.
func (f *File) Aliases() (o AliasOptions) {
	for _, opt := range f.Options {
		o.Set(opt.Name + "=" + opt.Value)
	}
	return o
}

// Set takes an option in the form "Name=value". It reports whether it is one that matters here.
func (o *AliasOptions) Set(s string) bool {
	name, value, _ := strings.Cut(s, "=")
	value = strings.TrimSpace(value)
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "aliasfile":
		o.addAliasFile(value)
	case "checkaliases":
		o.CheckAliases = value == "" || strings.ContainsAny(value[:1], "tTyY1")
	case "trusteduser":
		o.TrustedUser = value
	case "dontblamesendmail":
		o.DontBlame = value
	default:
		return false
	}
	return true
}

// addAliasFile: the option may be given several times, and then names all the files.
func (o *AliasOptions) addAliasFile(value string) {
	if o.AliasFile != "" {
		value = o.AliasFile + "," + value
	}
	o.AliasFile = value
}
