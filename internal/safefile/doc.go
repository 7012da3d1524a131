// Package safefile opens files the way sendmail does before it believes them: every directory on the path is looked
// at, then the file itself, with the eyes of the user in whose name the file speaks.
//
// A path is walked one component at a time through directory descriptors. What was examined is what is opened: a
// directory or file that is replaced between the look and the open is noticed, and an opening never blocks on a FIFO
// or wakes a device. Rights are computed from the status of files, not tried, so that the answer does not depend on
// who runs the process.
//
// # Rules
//
// A directory is unsafe when its group or everybody may write to it; who owns it does not matter. The first unsafe
// directory, counted from the root, names the reason. Symbolic links among the directories are followed and the
// directories of their targets are examined, too; the file itself may be a link when the directories of the path as
// it is named are safe. The order of checks is: directories, link, file type, group write, world write, execute,
// number of links, ownership and read permission.
//
// Source: sendmail 8.17, file safety as described in the Installation and Operation Guide, section 5.
package safefile
