package mailtest

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"testing"
)

// Run calls f with a testing.TB for use outside of tests: in Examples, demonstrations and load generators. What f
// reports is printed to standard output; Fatal, FailNow and Skip end f. Cleanups have run when Run returns, which is
// false when f failed. Of testing.TB everything works but Setenv, Chdir and what belongs to the go command.
func Run(f func(tb testing.TB)) bool {
	r := &runTB{}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.finish()
		f(r)
	}()
	<-done
	if r.panicked != nil {
		panic(r.panicked)
	}
	return !r.Failed()
}

// runTB is testing.TB outside of tests. Embedding the interface is the only way to have its private method.
type runTB struct {
	testing.TB

	ctx      context.Context
	cancel   context.CancelFunc
	panicked any

	mu       sync.Mutex
	failed   bool
	skipped  bool
	cleanups []func()
}

// finish runs the cleanups, last one first, in the goroutine of f.
func (r *runTB) finish() {
	r.panicked = recover()
	r.cancel()
	for {
		r.mu.Lock()
		n := len(r.cleanups)
		if n == 0 {
			r.mu.Unlock()
			return
		}
		f := r.cleanups[n-1]
		r.cleanups = r.cleanups[:n-1]
		r.mu.Unlock()
		f()
	}
}

func (r *runTB) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *runTB) Fail() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = true
}

func (r *runTB) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *runTB) TempDir() string {
	dir, err := os.MkdirTemp("", "mailtest")
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (r *runTB) FailNow()                  { r.Fail(); runtime.Goexit() }
func (r *runTB) Context() context.Context  { return r.ctx }
func (r *runTB) Helper()                   {}
func (r *runTB) Name() string              { return "mailtest.Run" }
func (r *runTB) Output() io.Writer         { return os.Stdout }
func (r *runTB) Log(args ...any)           { fmt.Println(args...) }
func (r *runTB) Logf(f string, a ...any)   { fmt.Printf(f+"\n", a...) }
func (r *runTB) Error(args ...any)         { r.Log(args...); r.Fail() }
func (r *runTB) Errorf(f string, a ...any) { r.Logf(f, a...); r.Fail() }
func (r *runTB) Fatal(args ...any)         { r.Log(args...); r.FailNow() }
func (r *runTB) Fatalf(f string, a ...any) { r.Logf(f, a...); r.FailNow() }
func (r *runTB) Skip(args ...any)          { r.Log(args...); r.SkipNow() }
func (r *runTB) Skipf(f string, a ...any)  { r.Logf(f, a...); r.SkipNow() }
func (r *runTB) Skipped() bool             { return r.skipped }
func (r *runTB) SkipNow()                  { r.skipped = true; runtime.Goexit() }
