// Package cdb reads and writes constant databases, the format of D. J. Bernstein's cdb that Postfix and sendmail 8.18 use for
// maps.
//
// # File format
//
// All integers have 32 bits, little-endian.
//
//	header   256 pairs (position, number of slots), 2048 bytes
//	records  key length, value length, key, value; from offset 2048
//	tables   256 tables of slots (hash, record position)
//
// The hash of a key is h = 5381; for each byte h = (h*33) XOR byte. Its low 8 bits choose the table; the rest, modulo the
// number of slots, the slot where the search begins. The search goes on slot by slot, wrapping around, and ends at a slot
// with position 0. A table has twice as many slots as keys. A file is shorter than 4 GiB.
//
// Several records may have one key; they are found in the order in which they were written. Lookup returns the first.
// Builders write what tinycdb writes, byte for byte.
//
// # Damaged files
//
// A fault is a *table.FormatError. Opening looks at the header only; Verify reads everything.
//
// # Differences from sendmail
//
//   - Look-ups take no lock; they notice afterwards that a file was rewritten in place, and are repeated.
//   - Damage is an error, never "not found".
//
// # Concurrency
//
// A File may be used by several goroutines at once, and so may a Reader if its io.ReaderAt allows it. A Builder may not.
//
// Source: https://cr.yp.to/cdb/cdb.txt.
package cdb
