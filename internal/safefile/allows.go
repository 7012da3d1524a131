//go:build unix

package safefile

import "golang.org/x/sys/unix"

// Permission bits as allows takes them.
const (
	wantRead   = 4
	wantSearch = 1
)

// allows reports whether the mode bits of st give want to id: those of the owner for the owner, those of the group
// for its members, those of others for everybody else. uid 0 gets no more than that for files, as in sendmail, but
// may search every directory.
func (id Identity) allows(st *unix.Stat_t, want uint32) bool {
	mode := uint32(st.Mode)
	switch {
	case id.UID == 0 && want == wantSearch:
		return true
	case int(st.Uid) == id.UID:
		mode >>= 6
	case id.inGroup(int(st.Gid)):
		mode >>= 3
	}
	return mode&want == want
}

func (id Identity) inGroup(gid int) bool {
	return gid == id.GID || id.Member != nil && id.Member(gid)
}
