// Package durable writes files so that they survive a power cut: write, fsync the file, rename or link, fsync the
// directory, and only then tell the caller.
//
// WriteFile replaces or creates a whole file: readers, and whoever looks after a crash, see the old content or the
// new one and nothing in between. Rename and Link are the second half alone, for callers that filled and synced the
// file themselves. DirSyncer lets many of them share directory syncs.
//
// # What is not promised
//
// Two writers of one file do not notice each other: take a lock first. Owner and group are those of the process.
// After a failed fsync nobody knows what is on the disk, and a second fsync may succeed without having written
// anything; the functions here therefore never retry one, and their callers must not either: write anew, under another
// name.
//
// A crash can leave temporary files behind, named as TempName says; RemoveTemp deletes them.
//
// # Concurrency
//
// All functions, and DirSyncer, are safe for concurrent use.
package durable
