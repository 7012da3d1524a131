// Package mailtest is a set of mail fixtures for tests.
package mailtest
