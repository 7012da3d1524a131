package maildir

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/vectordir"
)

// A vectorTree is one vector; testdata/vectors/maildir.zip holds a README that explains the fields.
type vectorTree struct {
	Name     string          `json:"name"`
	About    string          `json:"about"`
	Now      int64           `json:"now"`
	Tree     []vectorNode    `json:"tree"`
	Expected vectorExpected  `json:"expected"`
	Readers  json.RawMessage `json:"readers"` // evidence
}

type vectorNode struct {
	Path    string `json:"path"`
	PathB64 string `json:"path_b64"`
	Type    string `json:"type"`
	Mode    string `json:"mode"`
	Mtime   int64  `json:"mtime"`
	Content string `json:"content"`
	Target  string `json:"target"`
}

type vectorExpected struct {
	IsMaildir      bool              `json:"is_maildir"`
	Messages       []vectorEntry     `json:"messages"`
	Ignored        []string          `json:"ignored"`
	Folders        []vectorFolder    `json:"folders"`
	VirtualParents []string          `json:"virtual_parents"`
	NotFolders     []string          `json:"not_folders"`
	StaleTmp       []string          `json:"stale_tmp"`
	Duplicates     [][]string        `json:"duplicates"`
	Recomputed     vectorCount       `json:"recomputed"`
	Quota          *vectorQuota      `json:"quota"`
	UIDList        *vectorUIDList    `json:"uidlist"`
	Keywords       map[string]string `json:"keywords"`
}

type vectorCount struct {
	Bytes int64 `json:"bytes"`
	Count int64 `json:"count"`
}

type vectorEntry struct {
	Folder         string   `json:"folder"`
	Dir            string   `json:"dir"`
	Name           string   `json:"name"`
	Base           string   `json:"base"`
	Info           *string  `json:"info"`
	InfoValid      bool     `json:"info_valid"`
	Flags          string   `json:"flags"`
	KeywordLetters string   `json:"keyword_letters"`
	Keywords       []string `json:"keywords"`
	Unknown        string   `json:"unknown"`
	S              *int64   `json:"s"`
	W              *int64   `json:"w"`
	Time           *int64   `json:"time"`
	Size           int64    `json:"size"`
	Mtime          *int64   `json:"mtime"`
}

type vectorFolder struct {
	Dir        string   `json:"dir"`
	Components []string `json:"components"`
	UTF8       []string `json:"utf8"`
}

type vectorQuota struct {
	Valid      bool     `json:"valid"`
	LimitBytes *int64   `json:"limit_bytes"`
	LimitCount *int64   `json:"limit_count"`
	Bytes      *int64   `json:"bytes"`
	Count      *int64   `json:"count"`
	Recalc     []string `json:"recalc"`
	Over       *bool    `json:"over"`
}

type vectorUIDList struct {
	Version  int               `json:"version"`
	Validity uint32            `json:"uidvalidity"`
	Next     uint32            `json:"next"`
	Entries  map[string]uint32 `json:"entries"`
}

// shown is how the vectors write names that are not UTF-8.
func shown(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return "b64:" + base64.StdEncoding.EncodeToString([]byte(s))
}

// build creates the tree of a vector.
func (v *vectorTree) build(t *testing.T) string {
	root := t.TempDir()
	for _, n := range v.Tree {
		name := n.Path
		if n.PathB64 != "" {
			b, err := base64.StdEncoding.DecodeString(n.PathB64)
			require.NoError(t, err)
			name = string(b)
		}
		p := root + "/" + name
		mode, _ := strconv.ParseUint(n.Mode, 8, 32)
		switch n.Type {
		case "dir":
			require.NoError(t, os.MkdirAll(p, 0o700))
			require.NoError(t, os.Chmod(p, fs.FileMode(mode)))
		case "file":
			b, err := base64.StdEncoding.DecodeString(n.Content)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(p, b, 0o600))
			require.NoError(t, os.Chmod(p, fs.FileMode(mode)))
			at := time.Unix(n.Mtime, 0)
			require.NoError(t, os.Chtimes(p, at, at))
		case "symlink":
			require.NoError(t, os.Symlink(n.Target, p))
		default:
			t.Fatalf("node type %q is not known", n.Type)
		}
	}
	return root
}

// look describes a Maildir in the form of a vector.
func look(t *testing.T, root string, now time.Time) vectorExpected {
	d := New(root, nil)
	got := vectorExpected{Messages: []vectorEntry{}, Ignored: []string{}, Folders: []vectorFolder{}, VirtualParents: []string{},
		NotFolders: []string{}, StaleTmp: []string{}, Duplicates: [][]string{}, Keywords: map[string]string{}}
	var err error
	got.IsMaildir, err = d.Exists()
	require.NoError(t, err)
	if !got.IsMaildir {
		return got
	}
	list, others, err := d.folders()
	require.NoError(t, err)
	for _, o := range others {
		got.NotFolders = append(got.NotFolders, shown(o))
	}
	got.look(t, d, "")
	for _, f := range list {
		vf := vectorFolder{Dir: shown(f.Dir), UTF8: f.Names}
		for _, c := range f.Components {
			vf.Components = append(vf.Components, shown(c))
		}
		got.Folders = append(got.Folders, vf)
		got.look(t, d.Sub(f), f.Dir)
	}
	for _, p := range VirtualParents(list) {
		got.VirtualParents = append(got.VirtualParents, shown(p))
	}
	stale, err := d.Stale(now)
	require.NoError(t, err)
	slices.Sort(stale)
	for _, s := range stale {
		got.StaleTmp = append(got.StaleTmp, shown("tmp/"+s))
	}
	got.Recomputed.Bytes, got.Recomputed.Count, err = d.Count()
	require.NoError(t, err)
	k, err := d.Keywords()
	require.NoError(t, err)
	for i, name := range k {
		if name != "" {
			got.Keywords[strconv.Itoa(i)] = shown(name)
		}
	}
	got.Quota = lookQuota(t, d, now)
	if b, err := os.ReadFile(root + "/dovecot-uidlist"); err == nil {
		l, err := ParseUIDList(bytes.NewReader(b))
		require.NoError(t, err)
		got.UIDList = &vectorUIDList{l.Version, l.Validity, l.Next, make(map[string]uint32)}
		for base, uid := range l.UIDs {
			got.UIDList.Entries[shown(base)] = uid
		}
	}
	return got
}

// look adds the messages of the Maildir or folder.
func (got *vectorExpected) look(t *testing.T, d *Dir, folder string) {
	k, err := d.Keywords()
	require.NoError(t, err)
	if folder != "" {
		k, err = New(filepath.Dir(d.Path()), nil).Keywords()
		require.NoError(t, err)
		if own, err := d.Keywords(); err == nil && own != (Keywords{}) {
			k = own
		}
	}
	for _, sub := range []Sub{NewSub, CurSub} {
		var entries []vectorEntry
		var ignored []string
		for name, err := range d.names(sub, func(name string) { ignored = append(ignored, path.Join(folder, sub.String(), name)) }) {
			require.NoError(t, err)
			entries = append(entries, describe(t, d, ParseEntry(sub, name, 0), folder, &k))
		}
		slices.SortFunc(entries, func(a, b vectorEntry) int { return strings.Compare(raw(a.Name), raw(b.Name)) })
		slices.Sort(ignored)
		got.Messages = append(got.Messages, entries...)
		for _, p := range ignored {
			got.Ignored = append(got.Ignored, shown(p))
		}
	}
	count := map[string]int{}
	for _, m := range got.Messages {
		if m.Folder == shown(folder) {
			if count[m.Base]++; count[m.Base] == 2 {
				got.Duplicates = append(got.Duplicates, []string{shown(folder), m.Base})
			}
		}
	}
}

func raw(s string) string {
	if enc, ok := strings.CutPrefix(s, "b64:"); ok {
		if b, err := base64.StdEncoding.DecodeString(enc); err == nil {
			return string(b)
		}
	}
	return s
}

func describe(t *testing.T, d *Dir, e Entry, folder string, k *Keywords) vectorEntry {
	v := vectorEntry{Folder: shown(folder), Dir: e.Sub.String(), Name: shown(e.Name), Base: shown(e.Base()), InfoValid: e.HasFlags(), Flags: e.Flags(),
		KeywordLetters: e.KeywordLetters(), Unknown: shown(e.Unknown()), Keywords: []string{}}
	for _, name := range k.Names(e.KeywordLetters()) {
		v.Keywords = append(v.Keywords, shown(name))
	}
	if info, ok := e.Info(); ok {
		info = shown(info)
		v.Info = &info
	}
	if n, ok := e.Size(); ok {
		v.S = &n
	}
	if n, ok := e.VirtualSize(); ok {
		v.W = &n
	}
	if n, ok := e.Time(); ok {
		v.Time = &n
	}
	link, err := os.Lstat(d.EntryPath(e))
	require.NoError(t, err)
	f, _, err := d.Open(e)
	require.NoError(t, err)
	defer f.Close()
	fi, err := f.Stat()
	require.NoError(t, err)
	v.Size = fi.Size()
	if link.Mode().IsRegular() { // the date of a link is when the tree was built
		sec := fi.ModTime().Unix()
		v.Mtime = &sec
	}
	return v
}

// settle removes what two right answers may differ in: the order of duplicates, and how no limit is written.
func (v *vectorExpected) settle() {
	slices.SortFunc(v.Duplicates, slices.Compare[[]string])
	if q := v.Quota; q != nil {
		for _, limit := range []**int64{&q.LimitBytes, &q.LimitCount} {
			if *limit != nil && **limit == 0 {
				*limit = nil
			}
		}
	}
}

func lookQuota(t *testing.T, d *Dir, now time.Time) *vectorQuota {
	u, err := d.Usage()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	q := &vectorQuota{Valid: err == nil, Recalc: []string{}}
	if err != nil {
		q.Recalc = append(q.Recalc, RecountInvalid)
		return q
	}
	if u.Quota.Bytes > 0 {
		q.LimitBytes = &u.Quota.Bytes
	}
	if u.Quota.Messages > 0 {
		q.LimitCount = &u.Quota.Messages
	}
	over := u.Over()
	q.Bytes, q.Count, q.Over = &u.Bytes, &u.Messages, &over
	q.Recalc = append(q.Recalc, u.Recount(now)...)
	return q
}

func TestVectorsMaildir(t *testing.T) {
	fsys := vectordir.Open(t, "maildir", "testdata/vectors/maildir.zip")
	passed, failed := 0, 0
	for _, f := range vectordir.Files(t, fsys, ".json") {
		b, err := fs.ReadFile(fsys, f)
		require.NoError(t, err)
		ok := t.Run(strings.TrimSuffix(path.Base(f), ".json"), func(t *testing.T) {
			var v vectorTree
			dec := json.NewDecoder(bytes.NewReader(b))
			dec.DisallowUnknownFields()
			require.NoError(t, dec.Decode(&v), f)
			got := look(t, v.build(t), time.Unix(v.Now, 0))
			v.Expected.settle()
			got.settle()
			require.Equal(t, v.Expected, got, v.About)
		})
		if ok {
			passed++
		} else {
			failed++
		}
	}
	t.Logf("vectors maildir: %d passed, %d failed", passed, failed)
}
