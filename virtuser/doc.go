// Package virtuser reads and queries sendmail's virtual user tables: which local user or other address gets the mail
// for an address in a domain of ours.
//
// # File format
//
//	# comment lines begin with a number sign in the first column
//	info@example.com        ann
//	sales@example.com       sales-team@example.net
//	joe+*@example.com       joe+%2
//	old@example.com         error:5.1.6:551 Moved, please try new@example.org
//	@example.org            %1%3@example.com
//	@example.net            error:nouser 550 No such user here
//
// It is the text form of makemap(8): the key ends at the first white space, the value is the rest of the line. There are
// no continuation lines; a number sign in a value is part of it. ASCII letters of keys are folded. When a key comes twice,
// the first entry stands and Parse reports the other one. A line may have 1022 bytes, unless Parser.MaxLine says otherwise.
//
// # Look-up
//
// For user+detail@domain these keys are tried, for user@domain the first and the last, and the first one found decides:
//
//	user+detail@domain
//	user++@domain        only if the detail is not empty
//	user+*@domain
//	user@domain
//	++@domain            only if the detail is not empty
//	+*@domain
//	@domain
//
// A plus sign at the very beginning belongs to the user. Quotes and backslashes of the address do not count.
//
// # Values
//
//   - a user name, or an address anywhere; it is resolved from the start, this table included. Exactly one: lists belong
//     into aliases.
//   - \user: the mailbox of user, without aliases and forward file.
//   - error:D.S.N:text or error:word text: mail is refused. text may begin with a reply code and an enhanced status; see
//     mtakit.NewFail.
//
// In a value %0 stands for the key that matched, %1 for the user part (all of the local part where the first or the last
// key matched an address without plus), %2 for the detail, %3 for the detail with its plus sign, and %% for a percent
// sign. @domain alone is no value: write %1@domain. Values @ and ! are taken for "not found"; the latter ends the search.
//
// # Differences from sendmail
//
//   - The switch -T, which makes a temporary failure part of a name, does not exist: a table that cannot answer defers the
//     recipient.
//
// # Concurrency
//
// A Map is safe for concurrent use if its table is. A File is immutable once parsed.
//
// Source: sendmail cf/README, FEATURE(virtusertable); sendmail 8.17's own answers.
package virtuser
