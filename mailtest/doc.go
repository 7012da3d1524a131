// Package mailtest has what tests of mail software need: servers that take mail or refuse it in every way, name servers,
// messages, mailboxes, queues, tables and file systems that fail. It needs no container, no root and no fixed port, its
// servers start in less than a millisecond or two, and everything may be used by parallel tests.
//
// # Cookbook
//
// Each recipe is an Example that runs; look at its code for the details.
//
// Did my program send the mail? Point it at a Server and look at what came: Example, ExampleServer_Wait.
//
// What does it do when the server says no, is slow or hangs up? Script the stage: ExampleServer_Script,
// ExampleServer_Recipient, ExampleServer_Always. Ready-made: greylisting, 421 after some messages and a broken TLS
// handshake, ExampleServer_greylist, ExampleServer_maxMessages, ExampleServer_badTLS; and MaxBytes. For anything else a
// Handler sees every command: ExampleServer_Handler.
//
// What did the two say to each other? ExampleServer_Dialogue.
//
// TLS with a certificate that the client trusts, expired ones, wrong names: NewTLS, NewSTARTTLS and CA; ExampleNewSTARTTLS.
// A submission server that wants AUTH: ExampleNewSubmission. LMTP with a verdict per recipient: ExampleNewLMTP.
//
// Time-outs of minutes in no time: a Network in memory inside testing/synctest: ExampleNetwork.
//
// MX, null MX, failures and truncation: ExampleNewDNS. CNAME, TLSA, DNSSEC's AD bit, time-outs: ExampleDNS.
//
// A message that looks like that: Mail, ExampleMail. A thousand messages that have broken software before: Messages and
// Generate, ExampleMessages. A delivery status notification: Report.
//
// A mailbox to read: Mbox, SampleMbox and Maildir; ExampleMbox, ExampleMaildir. A damaged one: MboxDamages, MaildirTrees.
//
// A sendmail queue directory: QueueDir, ExampleQueueDir; one after a crash: QueueStates, ExampleQueueStates. Another
// process at work on an entry: LockQueueFile. Tables of sendmail, good and broken: Tables, ExampleTables.
//
// Does it survive a full disk and a power cut? Give it an FS: ExampleEachCrashPoint, ExampleEachFault.
//
// Is the output as before? Golden and Equal, with a difference that shows CR, NUL and blanks: ExampleDiff.
//
// Something happens later: WaitFor, ExampleWaitFor. Fixtures outside of a test: Run.
//
// # Five programs and their tests
//
// Example_orderConfirmation (a shop mails its customers), Example_newsletter (a sender that must obey 4yz and 5yz),
// Example_passwordReset (credentials only over TLS), Example_bounceProcessor (reads a mailbox of bounces) and
// Example_archive (files that must survive a power cut) are small programs of the kind that are otherwise tested with a
// mail catcher in a container, or not at all.
//
// # Stability
//
// Generated messages and built files are the same bytes for the same arguments, in every version of this package within
// one major version and on every machine. Only names of directories, ports, times of recorded messages, and fixtures
// that are said to be of a certain age differ.
//
// # Portability
//
// Everything works on Linux, macOS, the BSDs and Windows, except that on Windows LockQueueFile fails the test, symbolic links
// need a privilege, names in Maildirs have semicolons in place of colons, and modes of files mean little.
//
// # Differences from sendmail
//
// The servers are not a model of sendmail: they accept everything that is not refused by their settings, in the simplest
// correct way. Queue directories are in sendmail 8.17's format.
//
// # Concurrency
//
// Methods of Server, DNS and Network may be called from several goroutines. Fields of a Server are set before Start.
package mailtest
