// Package bdb reads and writes the Berkeley DB files that sendmail, makemap, newaliases and Postfix keep their maps in:
// hash and btree files of Berkeley DB 5.3 and its relatives, in pure Go.
//
// # File format
//
// A file is a sequence of pages of equal size, a power of two from 512 to 65536; page 0 holds the metadata. Integers have the
// byte order of the machine that wrote the file; the magic number at offset 12 tells which. Hash files of versions 7 to 9 and
// btree files of versions 8 and 9 are read, with or without page checksums, which are verified. Encrypted and partitioned
// files, files of named databases, recno, queue and heap files, and Berkeley DB 1.85 are refused with an error that says so.
//
// A hash file spreads its keys over buckets by a 32-bit function (FNV-1 with the start value 0). Each bucket is a chain of
// pages; on a page, keys are sorted by bytes, and of two keys of which one is the beginning of the other the longer
// comes first. A btree has the usual order. Keys and values of more than about a quarter of a page stand on overflow pages.
//
// Programs disagree on whether keys and values carry a trailing NUL byte: newaliases and Postfix append one, makemap does
// not. Lookup tries both forms; All shows records as they are.
//
// A file may hold several records with one key (makemap -d). Lookup returns the first.
//
// # Damaged files
//
// A fault is a *table.FormatError with page and offset. It never panics, never loops, and never takes more memory
// than a few pages and one record; what a Reader remembers of sound hash pages that it searched, to search them faster the next
// time, is a byte for each key and some tens for each page. Opening looks at the metadata only, so that it takes the same time for files of all
// sizes; it does notice a file that was cut short. Other damage is found by the look-up or the listing that meets it; a damaged
// bucket does not keep others from being read. All reads everything, and so is the way to verify a file.
//
// # Files that change
//
// A File is mapped into memory. After each look-up it asks the system whether the open file is still as it was opened, and
// otherwise opens it again and repeats the look-up: it follows a file that was replaced, and waits for the lock of a
// makemap or newaliases that rewrites one in place. The option Fixed keeps to the file that was opened.
// The option CheckInterval asks less often, for files that nobody rewrites in place: asking takes longer than the rest of a
// look-up in a hash file.
//
// # Writing
//
// A Builder takes all records, sorts them into buckets (or leaves) and writes the file in one pass from front to back. It holds
// up to 8 GiB of records, and makes the pages with as many as four goroutines. The file is smaller than libdb's and can be changed by libdb afterwards.
//
// # Differences from sendmail
//
//   - The access method is read from the file: a btree opened as "hash" works, where the original fails.
//   - Damage is an error; libdb often reads on, or does not end.
//   - Look-ups take no lock; they notice a change afterwards.
//   - Keys of any length are looked up; sendmail cuts them at 256 bytes.
//
// # Concurrency
//
// A File may be used by several goroutines at once, and so may a Reader if its io.ReaderAt allows it. A Builder may not.
//
// Source: the layout was taken from files that Berkeley DB 5.3.28 wrote, and checked with its tools.
package bdb
