// Package queue keeps messages safe from the moment they are accepted until each recipient is settled, in sendmail's
// spool files, and decides when each is tried.
//
//	dir, err := queue.Open("/var/spool/mqueue", nil)
//	runner := queue.NewRunner(queue.Options{Store: dir, Resolve: resolve, Mailers: mailers, Report: report})
//	go runner.Run(ctx)
//	…
//	draft, err := dir.Create(ctx, env)       // when the message comes in
//	io.Copy(draft, body)
//	claims, err := draft.CommitClaimed(ctx)  // now it survives a power failure: answer 250
//	runner.Submit(claims...)                 // and try it at once
//
// Three parts are kept apart. A Store has custody of messages; Dir is the one for a single machine. The Runner, above any
// Store, owns time: a schedule in memory, lanes per destination, back-off, expiry. Resolve, Mailers and Report are the
// caller's: where mail goes and how, and whom to tell.
//
// # Files
//
// A message is known by a queue id: eight characters for time and sequence, then the process id (see NewID). Its files
// stand in the queue directory, or in its subdirectories qf, df and xf where those exist:
//
//	dfID   the body, without header, with LF line ends
//	qfID   the control file (package queue/qf): envelope, recipients that are not settled, header
//	hfID   the control file of a message that is held or quarantined
//	tfID   the next version of a control file, being written
//	QfID   a control file that was damaged; only an operator touches it
//	xfID   a transcript that sendmail may leave; it is removed with the message
//	.deleted/  what an operator deleted, until it is purged, and the journal of that
//
// The units of one message have each their own control file and a hard link to the body.
//
// # States
//
// Every state that the files of an entry can be in, and what may happen next. "Locked" is a flock(2) on the control file,
// which sendmail uses, too.
//
//	df  tf  qf  hf   meaning                              next
//	–   –   –   –    nothing                              write df
//	+   –   –   –    a message on its way in, or garbage  write tf; or Recover removes it after a day
//	+   +   –   –    a message on its way in, or garbage  rename tf to qf (or hf); or Recover removes tf after a minute
//	+   –   +   –    queued                               claim: lock qf
//	+   –   +L  –    being tried                          tf; or remove qf; or release the lock
//	+   +   +L  –    being written anew                   rename tf over qf, or to hf
//	+   –   +   +    quarantine or release, cut short     hf counts: nobody claims qf, Recover removes it
//	+   –   –   +    held or quarantined                  tf; then rename it to qf and remove hf
//	+   –   –   –    delivered                            remove df, when the removal of qf is on disk
//	–   –   +   –    body lost                            delivered with a notice as body, as sendmail does
//
// Before Commit returns, in this order: df and tf written, both synced side by side, tf renamed to qf, the directory
// synced. Any number of writers share one sync of the directory, and with DirOptions.SyncFS one sync of everything. On
// ext4 with a journal, which never loses an earlier change and keeps a later one, the rename comes first, after the
// content was handed to the device, and df, qf and directory are synced all at once, in one turn of the journal. All three
// are synced in either case before anybody is told; the order of changes is only relied on for not finding, after a crash,
// a control file whose message was never acknowledged and is not whole.
//
// Before Update returns: tf synced, renamed over qf, directory synced. Complete does not wait for the disk: after a power
// failure the message may be there again, whole, and is then delivered twice. Nothing else is ever done twice, and nothing
// is lost; crash tests stop the package at each change it makes to the file system. While the spool cannot be written, the
// Runner keeps the claim on what was delivered or reported in part, and what became of it, until it can (up to
// Options.MaxParked of them, and until Run ends: what is left then is tried again as a whole).
//
// # Time
//
// When an attempt leaves recipients, the unit is due again after Options.Retry, and the time is kept as the modification
// time of its control file, where sendmail does not look. A destination that does not answer is backed off as a whole: its
// units stay ready and cost nothing until one of them finds it up again. Units of one destination go by priority, lowest
// value first, destinations in turn. At the start, attempts begin with the first entries that are found, while the others
// are still being read: priorities order what is known. After Options.Return a message bounces, after Options.Warn its
// sender hears of the delay.
//
// # Portability
//
// Dir needs a Unix system; on Windows, Open fails with errors.ErrUnsupported, and a Runner needs another Store.
// Syncs of whole file systems (SyncFS) and acceptance with one turn of the journal are for Linux: elsewhere each file is synced
// by itself.
//
// # Differences from sendmail
//
//   - A control file is written once, under its temporary name, not first in place and then again.
//   - On completion the control file goes first and the body when that is on disk; sendmail removes the body first. A crash
//     leaves a body without a control file, which Recover removes, instead of an empty message.
//   - A recipient whose alias has an owner gets a unit of its own when it has to wait.
//   - A file without an S line is left alone, where sendmail aborts.
//   - Retries follow an exponential back-off, not the interval of queue runs. Minimum age, priorities, timeouts and their
//     classes are sendmail's.
//   - A message that is held by an operator is a quarantined one whose reason begins with "hold".
//   - Ids are not exhausted after 3600 in a second: seconds that the process let pass are used up, then a few to come.
//   - Deleted entries can be brought back (Dir.Delete, Dir.Undelete).
//   - Of a queue group's options, F=, P= and r= are Group, I= is Options.Intervals and R= is Options.Concurrency, for all
//     groups together. There are no queue runs, so that J=, the most messages of one, has nothing to limit; N=, the
//     priority of a process, cannot be had for a goroutine.
//
// # Concurrency
//
// Dir, Runner and HostStatusDir may be used by several goroutines and processes at once, and beside sendmail. A Draft is
// for one goroutine, a Claim for one at a time.
package queue
