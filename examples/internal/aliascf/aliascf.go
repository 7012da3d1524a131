// Package aliascf reads what newaliases and praliases need of a sendmail configuration.
package aliascf

import (
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/examples/internal/sendmailcf"
	"github.com/mtakit/mtakit/internal/strerror"
)

// Default is the configuration of a stock sendmail.
const Default = sendmailcf.Default

// Options are the options that concern alias files. Those of the command line are set first, and win.
type Options struct {
	AliasFile    string         // may be given several times, and then names all the files
	Sources      []alias.Source // those of AliasFile that are good
	CheckAliases bool
	TrustedUser  string
	DontBlame    mtakit.DontBlame // DontBlameSendmail, which adds up

	LocalDomains []string // class w

	Messages []string // what sendmail says about the options
	Failed   bool     // one of them is such that sendmail does nothing more

	at    string          // "file: line N: " in front of messages
	given map[string]bool // options that were set
	fixed map[string]bool // options that stay as they are
}

// Read reads a configuration file. What was set before stays, but for DontBlame, to which the file adds.
func (o *Options) Read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil && fi.IsDir() {
		return &os.PathError{Op: "read", Path: path, Err: syscall.EISDIR}
	}
	return o.Parse(f, path)
}

// Parse reads the O lines of a configuration called name: "O Name=value", and "OAvalue" for AliasFile.
func (o *Options) Parse(r io.Reader, name string) error {
	o.fixed, o.given = o.given, nil
	defer func() { o.at = "" }()
	return sendmailcf.Lines(r, func(number int, line string) {
		o.at = name + ": line " + strconv.Itoa(number) + ": "
		switch {
		case strings.HasPrefix(line, "O "):
			o.Set(line[2:])
		case strings.HasPrefix(line, "OA"):
			o.assign("AliasFile", line[2:])
		case strings.HasPrefix(line, "Cw"), strings.HasPrefix(line, "C{w}"):
			o.LocalDomains = append(o.LocalDomains, strings.Fields(strings.TrimPrefix(strings.TrimPrefix(line[1:], "w"), "{w}"))...)
		case strings.HasPrefix(line, "Fw"), strings.HasPrefix(line, "F{w}"):
			o.readClass(strings.TrimPrefix(strings.TrimPrefix(line[1:], "w"), "{w}"))
		}
	})
}

// readClass adds the names in a file, one to a line; "-o" in front of its path says that it may be missing.
func (o *Options) readClass(arg string) {
	path, optional := strings.CutPrefix(strings.TrimSpace(arg), "-o")
	path = strings.TrimSpace(path)
	if i := strings.IndexAny(path, " \t%"); i >= 0 { // a format for scanf(3), which says the same: one word
		path = path[:i]
	}
	text, err := os.ReadFile(path)
	if err != nil {
		if !optional {
			o.fail("fileclass: cannot open '" + path + "': " + strerror.Text(err))
		}
		return
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 0 && !strings.HasPrefix(words[0], "#") {
			o.LocalDomains = append(o.LocalDomains, words[0])
		}
	}
}

// Set takes an option in the form "Name=value". Its name may be cut short as long as it is the only one that begins so.
func (o *Options) Set(s string) {
	name, value, _ := strings.Cut(s, "=")
	if name == "" {
		o.fail("readcf: null option name")
		return
	}
	name, _, _ = strings.Cut(name, ".") // as in Timeout.queuereturn
	name, ok := o.resolve(strings.TrimRight(name, " \t"))
	if ok {
		o.assign(name, strings.TrimSpace(value))
	}
}

// resolve returns the full name of an option.
func (o *Options) resolve(name string) (full string, ok bool) {
	var found []string
	for known := range strings.FieldsSeq(names) {
		if len(known) >= len(name) && strings.EqualFold(known[:len(name)], name) {
			if len(known) == len(name) {
				return known, true
			}
			found = append(found, known)
		}
	}
	switch len(found) {
	case 0:
		o.fail("readcf: unknown option name " + name)
		return "", false
	case 1:
		o.say("Option " + name + " used as abbreviation for " + found[0])
		return found[0], true
	}
	o.fail(fmt.Sprintf("readcf: ambiguous option name %s (matches %s and %s)", name, found[0], found[1]))
	return "", false
}

// assign gives an option its value.
func (o *Options) assign(name, value string) {
	if o.fixed[name] && name != "DontBlameSendmail" {
		return
	}
	if o.given == nil {
		o.given = make(map[string]bool)
	}
	o.given[name] = true
	switch name {
	case "AliasFile":
		sources, err := alias.ParseSources(value)
		o.Sources = append(o.Sources, sources...)
		if o.AliasFile != "" {
			value = o.AliasFile + "," + value
		}
		o.AliasFile = value
		o.check("", err)
	case "CheckAliases":
		o.CheckAliases = value == "" || strings.ContainsAny(value[:1], "tTyY1")
	case "TrustedUser":
		o.TrustedUser = value
		if _, err := strconv.Atoi(value); err != nil {
			if _, err := user.Lookup(value); err != nil {
				o.fail("readcf: option TrustedUser: unknown user " + value)
			}
		}
	case "DontBlameSendmail":
		d, err := mtakit.ParseDontBlame(o.DontBlame.String() + "," + value)
		o.DontBlame = d
		o.check("readcf: ", err)
	}
}

// check reports the errors that are joined in err.
func (o *Options) check(prefix string, err error) {
	if err == nil {
		return
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		o.fail(prefix + line)
	}
}

func (o *Options) say(text string) { o.Messages = append(o.Messages, o.at+text) }

func (o *Options) fail(text string) {
	o.say(text)
	o.Failed = true
}

// names are the options of sendmail 8.17 in the order in which it looks for them: of the many that begin alike, an
// error names the first two.
const names = `
SevenBitInput EightBitMode AliasFile AliasWait BlankSub MinFreeBlocks CheckpointInterval HoldExpensive DeliveryMode
ErrorHeader ErrorMode TempFileMode SaveFromLine MatchGECOS HelpFile MaxHopCount ResolverOptions IgnoreDots ForwardPath
SendMimeErrors ConnectionCacheSize ConnectionCacheTimeout UseErrorsTo LogLevel MeToo CheckAliases OldStyleHeaders
DaemonPortOptions PrivacyOptions PostmasterCopy QueueFactor QueueDirectory DontPruneRoutes Timeout StatusFile SuperSafe
QueueTimeout TimeZoneSpec UserDatabaseSpec DefaultUser FallbackMXhost Verbose TryNullMXList QueueLA RefuseLA
RecipientFactor ForkEachJob ClassFactor RetryFactor QueueSortOrder HostsFile MinQueueAge DefaultCharSet
ServiceSwitchFile DialDelay NoRecipientAction SafeFileEnvironment MaxMessageSize ColonOkInAddr MaxQueueRunSize
MaxDaemonChildren DontExpandCnames MustQuoteChars SmtpGreetingMessage UnixFromLine OperatorChars DontInitGroups
SingleLineFromHeader AllowBogusHELO ConnectionRateThrottle UnsafeGroupWrites DoubleBounceAddress HostStatusDirectory
SingleThreadDelivery RunAsUser RrtImpliesDsn PidFile DontBlameSendmail DontProbeInterfaces MaxRecipientsPerMessage
DeadLetterDrop MaxAliasRecursion ConnectOnlyTo TrustedUser MaxMimeHeaderLength ControlSocketName MaxHeadersLength
ProcessTitlePrefix DefaultAuthInfo AuthMechanisms ClientPortOptions DataFileBufferSize XscriptFileBufferSize
LDAPDefaultSpec ServerCertFile ServerKeyFile ClientCertFile ClientKeyFile CACertFile CACertPath DHParameters
InputMailFilters Milter AuthOptions QueueFileMode CertFingerprintAlgorithm CipherList RandFile TLSSrvOptions
BadRcptThrottle DeliverByMin MaxQueueChildren MaxRunnersPerQueue DirectSubmissionModifiers NiceQueueRun SharedMemoryKey
AuthMaxBits MailboxDatabase UseMSP DelayLA FastSplit SoftBounce SharedMemoryKeyFile RejectLogInterval RequiresDirfsync
ConnectionRateWindowSize CRLFile FallbackSmartHost AuthRealm CRLPath HeloName MaxNOOPCommands BadRcptShutdown
BadRcptShutdownGood ServerSSLOptions ClientSSLOptions MaxQueueAge RejectNUL UseCompressedIPv6Addresses SSLEngine
SSLEnginePath TLSFallbacktoClear SetCertAltnames SmtpUTF8 StrictTransportSecurity CipherSuites`
