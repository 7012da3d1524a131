package sendmailcf

import (
	"errors"
	"fmt"
	"strings"
)

// ParseOption reads "Name=value", as it stands behind "O " and -O. The name may be cut short as long as no other option
// begins so, which remark is about; what follows a dot, as in Timeout.queuereturn, is left out of it. remark and the error are
// in sendmail's words.
func ParseOption(s string) (name, value, remark string, err error) {
	name, value, _ = strings.Cut(s, "=")
	if name == "" {
		return "", "", "", errors.New("readcf: null option name")
	}
	name, _, _ = strings.Cut(name, ".")
	name, remark, err = resolve(strings.TrimRight(name, " \t"))
	return name, strings.TrimSpace(value), remark, err
}

// resolve returns the full name of an option.
func resolve(name string) (full, remark string, err error) {
	var found []string
	for known := range strings.FieldsSeq(names) {
		if len(known) >= len(name) && strings.EqualFold(known[:len(name)], name) {
			if len(known) == len(name) {
				return known, "", nil
			}
			found = append(found, known)
		}
	}
	switch len(found) {
	case 0:
		return "", "", errors.New("readcf: unknown option name " + name)
	case 1:
		return found[0], "Option " + name + " used as abbreviation for " + found[0], nil
	}
	return "", "", fmt.Errorf("readcf: ambiguous option name %s (matches %s and %s)", name, found[0], found[1])
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
