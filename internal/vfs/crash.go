package vfs

import "fmt"

// TB is the part of *testing.T that the crash helpers need; it is spelled out here so that programs do not link the
// testing package.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
}

// CrashOptions tunes EachCrashPointWith and EachFaultWith. The zero value is what EachCrashPoint uses.
type CrashOptions struct {
	// Mem is the file system that the scenario runs on.
	Mem MemOptions
	// Setup, when set, fills each new file system. What it writes is durable before the scenario starts, and its
	// operations are not counted.
	Setup func(fs FS)
	// Kinds are the crashes tried at each point. Nil means CrashKinds.
	Kinds []CrashKind
	// Seeds is how many pseudo-random crashes are tried for CrashTorn and CrashRandom. Zero means 2.
	Seeds int
	// Ops are the operations at which the scenario is stopped. Zero means OpChange: stopping before an operation
	// that changes nothing leaves what stopping before the next change leaves.
	Ops Op
	// Limit is the largest number of operations a scenario may need. Zero means 100,000; more fails the test, since the
	// scenario probably does not end when the file system has stopped.
	Limit int
}

// CrashPoint says where a scenario was stopped, for messages.
type CrashPoint struct {
	Call Call // the operation that was not done; its N is 0 when the scenario ran to its end before the crash
	Kind CrashKind
	Seed uint64
}

// String prints "crash (names) before 7 rename q/tfx 0".
func (p CrashPoint) String() string {
	if p.Call.N == 0 {
		return fmt.Sprintf("crash (%v, seed %d) after the end", p.Kind, p.Seed)
	}
	return fmt.Sprintf("crash (%v, seed %d) before %v", p.Kind, p.Seed, p.Call)
}

// EachCrashPoint runs scenario once for every file operation that it makes, stopped at that operation, and once more to
// its end. After each run it hands check the file system as each kind of crash would leave it, together with what
// scenario returned: the promises it had made by then. It returns the number of crashes checked.
//
// The scenario must return soon after its operations start to return ErrCrashed, and must not have goroutines left.
//
//	vfs.EachCrashPoint(t, func(fs vfs.FS) (acked []string) {
//		q := open(fs)
//		if id, err := q.Add("hello"); err == nil {
//			acked = append(acked, id)
//		}
//		return acked
//	}, func(t *testing.T, p vfs.CrashPoint, acked []string, fs vfs.FS) {
//		q := open(fs) // recovery
//		for _, id := range acked {
//			require.True(t, q.Has(id), "%v: lost %s", p, id)
//		}
//	})
func EachCrashPoint[T TB, A any](t T, scenario func(fs FS) A, check func(t T, p CrashPoint, acked A, fs FS)) int {
	t.Helper()
	return EachCrashPointWith(t, nil, scenario, check)
}

// EachCrashPointWith is EachCrashPoint with options; nil means the zero value.
func EachCrashPointWith[T TB, A any](t T, opts *CrashOptions, scenario func(fs FS) A, check func(t T, p CrashPoint, acked A, fs FS)) int {
	t.Helper()
	o := opts.defaults()
	checked := 0
	for n := 1; ; n++ {
		if n > o.Limit {
			t.Fatalf("scenario still makes operations after %d of them", o.Limit)
			return checked
		}
		mem, faults := o.start()
		faults.StopAt(n)
		acked := scenario(faults)
		call, stopped := faults.Stopped()
		for _, kind := range o.Kinds {
			seeds := 1
			if kind == CrashTorn || kind == CrashRandom {
				seeds = o.Seeds
			}
			for s := range seeds {
				p := CrashPoint{Call: call, Kind: kind, Seed: uint64(n*o.Seeds + s)}
				check(t, p, acked, mem.Crash(kind, p.Seed))
				checked++
				if t.Failed() {
					t.Logf("at %v; operations so far: %v", p, faults.Trace())
					return checked
				}
			}
		}
		if !stopped {
			return checked
		}
	}
}

// EachFault runs scenario once for every file operation that it makes, that operation failing with err and the
// following ones working again, and once more without a fault. After each run it hands check the file system as it
// is, together with what scenario returned. It returns the number of faults checked.
func EachFault[T TB, A any](t T, err error, scenario func(fs FS) A, check func(t T, c Call, acked A, fs FS)) int {
	t.Helper()
	return EachFaultWith(t, err, nil, scenario, check)
}

// EachFaultWith is EachFault with options; nil means the zero value, but with OpAny for Ops. Kinds and Seeds do not
// matter.
func EachFaultWith[T TB, A any](t T, err error, opts *CrashOptions, scenario func(fs FS) A, check func(t T, c Call, acked A, fs FS)) int {
	t.Helper()
	o := opts.defaults()
	if opts == nil || opts.Ops == 0 {
		o.Ops = OpAny
	}
	for n := 1; ; n++ {
		if n > o.Limit {
			t.Fatalf("scenario still makes operations after %d of them", o.Limit)
			return n - 1
		}
		mem, faults := o.start()
		faults.Add(Fault{Ops: o.Ops, At: n, Err: err})
		acked := scenario(faults)
		trace := faults.Trace()
		if n > len(trace) {
			check(t, Call{}, acked, mem)
			return n - 1
		}
		check(t, trace[n-1], acked, mem)
		if t.Failed() {
			t.Logf("%v at %v; operations: %v", err, trace[n-1], trace)
			return n
		}
	}
}

func (opts *CrashOptions) defaults() CrashOptions {
	var o CrashOptions
	if opts != nil {
		o = *opts
	}
	if o.Kinds == nil {
		o.Kinds = CrashKinds
	}
	if o.Seeds == 0 {
		o.Seeds = 2
	}
	if o.Ops == 0 {
		o.Ops = OpChange
	}
	if o.Limit == 0 {
		o.Limit = 100_000
	}
	return o
}

// start makes the file system of one run.
func (o *CrashOptions) start() (*Mem, *Faults) {
	mem := NewMem(&o.Mem)
	if o.Setup != nil {
		o.Setup(mem)
		mem.SyncAll()
	}
	return mem, NewFaults(mem, o.Ops)
}
