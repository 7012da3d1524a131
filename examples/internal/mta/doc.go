// Package mta wires mtakit's packages into a mail server: what examples/server runs and what the drop-in sendmail
// command uses to submit and deliver. Read it as the long form of the wiring that the root package's Example shows.
//
// A message passes through these files in this order:
//
//	config.go    flags and the optional TOML file
//	datadir.go   the data directory and its sample tables
//	tables.go    aliases, virtusertable, mailertable, access: loading and reloading
//	session.go   SMTP commands: admission and resolution at RCPT time
//	accept.go    the end of DATA: what is delivered at once, what is queued, what is refused
//	deliver.go   mailers and the grouping of recipients into attempts
//	handed.go    what a first attempt knows already
//	retry.go     later attempts, from the queue
//	report.go    bounces and warnings
//	observe.go   maillog and statistics
package mta
