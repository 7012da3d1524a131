// Package table holds the map files that stand behind the typed tables (aliases, access, virtusertable, mailertable): the
// text form, and what all engines share. The engines for binary files are the packages bdb (Berkeley DB hash and btree),
// cdb and sqltable below it.
//
// # Text format
//
// The text is the input of makemap(8), one record per line:
//
//		# a comment starts in the first column
//		example.com            REJECT
//		joe@example.org        joe, ann      # this is part of the value
//
//	  - An empty line and a line whose first byte is the comment character are skipped.
//	  - A line that begins with white space is an error: there are no continuation lines.
//	  - The key ends at the first white space (space, tab, VT, FF, CR; never 0xA0). All white space behind it is skipped.
//	    The value is the rest of the line as it stands, inner and trailing blanks and a CR included. Quotes mean nothing.
//	  - With a separator set, only that byte separates, leading blanks belong to the key, and the key may be empty.
//	  - A key without a value is an error and is dropped, unless empty values are allowed.
//	  - A line holds at most 1022 bytes. What is left of a longer one is read as a further line with a number of its own,
//	    as makemap does. A NUL byte makes a line "too long", too.
//	  - ASCII letters of keys are folded to lower case. Of two records with one key the first stays; the second is an error.
//
// Grammar selects the options of makemap (-e, -f, -t, -D, -d, -r), or the grammar of postmap and postalias instead.
//
// # Names
//
// A map is named as in sendmail's configuration, "class:[flags ]path": "hash:/etc/mail/access",
// "hash:-N /etc/aliases", "cdb:-o /etc/mail/virtusertable", "text:/etc/mail/mailertable". A Registry, made by the caller, tells which
// classes there are: nothing registers itself.
//
//	reg := table.Registry{"text": table.TextEngine(nil), "hash": bdb.Hash(nil), "cdb": cdb.New(nil)}
//	m, err := reg.Open(ctx, "hash:/etc/mail/access")
//
// # Files that change
//
// A Set keeps several tables loaded, notices that their files were replaced or changed, and switches all of them at
// once: every look-up is answered by one generation. A file that cannot be read leaves the last good generation in place.
//
// Replace builds a file aside and renames it over the old one, so that a reader sees the old map or the new one and never a
// mix, and so that a running sendmail notices (see there).
//
// # Portability
//
// Map files are mapped into memory on Unix. On Windows they are read as a whole, a change is noticed by size and modification
// time, locks keep off programs made with this module alone, and modes are not passed on. Replace gives its locks up there in
// the moment of renaming, and fails when somebody else has the file open; so may an opening in that moment.
//
// # Differences from sendmail
//
//   - makemap and newaliases write in place; Replace writes aside and renames.
//   - A look-up tries both conventions for the trailing NUL each time, the one seen last first; sendmail settles on the
//     first that succeeds.
//   - Damage in a map file is an error ("cannot tell", the mail waits), never "not found".
//
// # Concurrency
//
// A Text is immutable. Chain, Cache and Set may be used by several goroutines at once. A Scanner and a Builder may not.
//
// Source: sendmail makemap(8), op.me section 5 (K lines); Postfix postmap(1), postalias(1).
package table
