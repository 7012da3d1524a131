// Package mbox is under way.
package mbox
