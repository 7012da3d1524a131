package table_test

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/internal/vectordir"
	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/bdb"
	"github.com/mtakit/mtakit/table/cdb"
)

// vector is one line of manifest.jsonl.
type vector struct {
	File    string   `json:"file"`
	Kind    string   `json:"kind"`
	Note    string   `json:"note"`
	MadeBy  string   `json:"made_by"`
	Parser  string   `json:"parser"`
	Exit    *int     `json:"exit"`
	Message []string `json:"messages"`
	Records *int     `json:"records"`
	SHA256  string   `json:"sha256"`
	Digest  bool     `json:"digest_only"`
	Size    *int64   `json:"size"`

	Type      string  `json:"type"`
	Version   int     `json:"version"`
	PageSize  int     `json:"page_size"`
	ByteOrder string  `json:"byte_order"`
	Checksum  bool    `json:"checksum"`
	Dup       bool    `json:"dup"`
	DupSort   bool    `json:"dupsort"`
	Free      uint32  `json:"free"`
	LastPage  uint32  `json:"last_pgno"`
	MaxBucket *uint32 `json:"max_bucket"`
	Elements  *uint32 `json:"nelem"`

	Error string `json:"error"`

	// What other programs did with the file.
	LibdbMisses   int    `json:"libdb_lookup_misses"`
	VerifyExit    int    `json:"libdb_verify_exit"`
	DumpExit      int    `json:"libdb_dump_exit"`
	DumpMessage   string `json:"libdb_dump_message"`
	CDBDumpExit   int    `json:"cdb_dump_exit"`
	CDBDumpOutput string `json:"cdb_dump_message"`
}

// expectedRecord is one line of expected.jsonl.
type expectedRecord struct {
	File string  `json:"file"`
	I    int     `json:"i"`
	K    *string `json:"k"`
	V    *string `json:"v"`

	KLen    int    `json:"k_len"`
	KSHA256 string `json:"k_sha256"`
	KHead   string `json:"k_head"`
	VLen    int    `json:"v_len"`
	VSHA256 string `json:"v_sha256"`
	VHead   string `json:"v_head"`
}

// vectorSets returns the directories that hold a manifest.
func vectorSets(t *testing.T) []fs.FS {
	all := vectordir.Open(t, "table", "testdata/vectors/table.zip")
	var sets []fs.FS
	for _, name := range vectordir.Files(t, all, "manifest.jsonl") {
		set, err := fs.Sub(all, path.Dir(name))
		require.NoError(t, err)
		sets = append(sets, set)
	}
	return sets
}

// readLines decodes a file of JSON lines and refuses fields that T lacks.
func readLines[T any](t *testing.T, fsys fs.FS, name string) []T {
	b, err := fs.ReadFile(fsys, name)
	require.NoError(t, err)
	var out []T
	sc := bufio.NewScanner(bytes.NewReader(b))
	sc.Buffer(nil, 1<<24)
	for n := 1; sc.Scan(); n++ {
		var v T
		d := json.NewDecoder(bytes.NewReader(sc.Bytes()))
		d.DisallowUnknownFields()
		require.NoError(t, d.Decode(&v), "%s:%d", name, n)
		out = append(out, v)
	}
	require.NoError(t, sc.Err())
	return out
}

// TestVectors reads files that other programs wrote, damaged ones, and texts with the complaints of the original parsers.
func TestVectors(t *testing.T) {
	passed, failed := 0, 0
	for _, set := range vectorSets(t) {
		expected := make(map[string][]expectedRecord)
		for _, e := range readLines[expectedRecord](t, set, "expected.jsonl") {
			expected[e.File] = append(expected[e.File], e)
		}
		known := make(map[string]bool)
		for _, v := range readLines[vector](t, set, "manifest.jsonl") {
			known[v.File] = true
			if err := runVector(t, set, v, expected[v.File]); err != nil {
				t.Errorf("%s (%s): %v", v.File, v.Note, err)
				failed++
				continue
			}
			passed++
		}
		for file := range expected {
			if !known[file] {
				t.Errorf("expected.jsonl has records of %s, which is not in the manifest", file)
				failed++
			}
		}
	}
	t.Logf("vectors table: %d passed, %d failed", passed, failed)
}

func runVector(t *testing.T, set fs.FS, v vector, want []expectedRecord) error {
	content, err := fs.ReadFile(set, v.File)
	if err != nil {
		return err
	}
	bad := path.Dir(v.File) == "bad" || v.Error != ""
	switch {
	case v.Kind == "text":
		return runText(t, v, content, want)
	case v.Kind != "bdb" && v.Kind != "cdb":
		return fmt.Errorf("kind %q is not known", v.Kind)
	case bad:
		return runBad(v, content)
	case v.Records == nil:
		return errors.New("neither records nor an error are given")
	case v.Kind == "bdb":
		return runBDB(t, v, content, want)
	}
	return runCDB(t, v, content, want)
}

// binaryReader is what the Readers of bdb and cdb have in common.
type binaryReader interface {
	Lookup(key []byte) ([]byte, bool, error)
}

func runBDB(t *testing.T, v vector, content []byte, want []expectedRecord) error {
	r, err := bdb.NewReader(bytes.NewReader(content), int64(len(content)), v.File)
	if err != nil {
		return err
	}
	m := r.Meta()
	order := "little"
	if m.BigEndian {
		order = "big"
	}
	got := fmt.Sprint(m.Type, m.Version, m.PageSize, order, m.Checksum, m.Duplicates, m.SortedDuplicates, m.Free, m.LastPage)
	if w := fmt.Sprint(v.Type, v.Version, v.PageSize, v.ByteOrder, v.Checksum, v.Dup, v.DupSort, v.Free, v.LastPage); got != w {
		return fmt.Errorf("metadata %s, want %s", got, w)
	}
	if v.MaxBucket != nil && *v.MaxBucket != m.MaxBucket || v.Elements != nil && *v.Elements != m.Elements {
		return fmt.Errorf("max_bucket %d, nelem %d; want %v, %v", m.MaxBucket, m.Elements, v.MaxBucket, v.Elements)
	}
	recs, err := collect(r.All())
	if err != nil {
		return err
	}
	return checkRecords(t, v, recs, want, r, content)
}

func runCDB(t *testing.T, v vector, content []byte, want []expectedRecord) error {
	r, err := cdb.NewReader(bytes.NewReader(content), int64(len(content)), v.File)
	if err != nil {
		return err
	}
	if v.Size != nil && *v.Size != int64(len(content)) {
		return fmt.Errorf("size %d, want %d", len(content), *v.Size)
	}
	if _, err := r.Verify(); err != nil {
		return err
	}
	recs, err := collect(r.All())
	if err != nil {
		return err
	}
	if err := checkRecords(t, v, recs, want, r, content); err != nil {
		return err
	}
	// The same records in the same order make the same file.
	b := cdb.NewBuilder(table.BuildOptions{Duplicates: table.KeepAll})
	for _, rec := range recs {
		if err := b.Put([]byte(rec.Key), []byte(rec.Value)); err != nil {
			return err
		}
	}
	var out bytes.Buffer
	if _, err := b.WriteTo(&out); err != nil {
		return err
	}
	if !bytes.Equal(out.Bytes(), content) {
		return errors.New("built again, the file differs")
	}
	return nil
}

// collect gathers the records of a sequence.
func collect(seq func(func(table.Record, error) bool)) (recs []table.Record, err error) {
	for rec, err := range seq {
		if err != nil {
			return recs, err
		}
		recs = append(recs, rec)
	}
	return recs, nil
}

// digest is the digest of the vectors: over lengths, keys and values.
func digest(recs []table.Record) string {
	h := sha256.New()
	var n [4]byte
	for _, rec := range recs {
		for _, s := range [...]string{rec.Key, rec.Value} {
			binary.BigEndian.PutUint32(n[:], uint32(len(s)))
			h.Write(n[:])
			h.Write([]byte(s))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// checkRecords compares all records, looks each of them up in r, and once more through a file on disk.
func checkRecords(t *testing.T, v vector, recs []table.Record, want []expectedRecord, r binaryReader, content []byte) error {
	if len(want) != len(recs) && !v.Digest || v.Digest && len(want) > 0 {
		return fmt.Errorf("%d records, %d in expected.jsonl", len(recs), len(want))
	}
	if err := compareRecords(v, recs, want); err != nil {
		return err
	}
	name := filepath.Join(t.TempDir(), path.Base(v.File))
	if err := os.WriteFile(name, content, 0o600); err != nil {
		return err
	}
	var m table.Map
	var err error
	if v.Kind == "bdb" {
		m, err = bdb.Open(t.Context(), name, table.OpenOptions{})
	} else {
		m, err = cdb.Open(t.Context(), name, table.OpenOptions{})
	}
	if err != nil {
		return err
	}
	defer m.Close()
	again, err := collect(m.All())
	if err != nil || !slices.Equal(recs, again) {
		return fmt.Errorf("the file on disk lists other records: %v", err)
	}
	first := make(map[string]string)
	for _, rec := range slices.Backward(recs) {
		first[rec.Key] = rec.Value
	}
	for key, value := range first {
		got, ok, err := r.Lookup([]byte(key))
		if err != nil || !ok || string(got) != value {
			return fmt.Errorf("lookup of %q gives %q, %v, %v; want %q", key, got, ok, err, value)
		}
		plain := strings.TrimSuffix(key, "\x00")
		if _, both := first[plain+"\x00"]; both && key == plain {
			continue // both forms of the key are there
		}
		text, ok, err := m.Lookup(t.Context(), plain)
		if err != nil || !ok || text != strings.TrimSuffix(value, "\x00") {
			return fmt.Errorf("lookup of %q on disk gives %q, %v, %v; want %q", plain, text, ok, err, value)
		}
	}
	for _, key := range []string{"no such key", "no such key\x00", strings.Repeat("x", 3000)} {
		if got, ok, err := r.Lookup([]byte(key)); ok || err != nil {
			return fmt.Errorf("lookup of an absent key gives %q, %v, %v", got, ok, err)
		}
	}
	return nil
}

func compareRecords(v vector, recs []table.Record, want []expectedRecord) error {
	if len(recs) != *v.Records {
		return fmt.Errorf("%d records, want %d", len(recs), *v.Records)
	}
	if d := digest(recs); d != v.SHA256 {
		return fmt.Errorf("digest %s, want %s; records %q", d, v.SHA256, recs)
	}
	for _, e := range want {
		if e.I >= len(recs) {
			return fmt.Errorf("no record %d", e.I)
		}
		if err := e.check(recs[e.I]); err != nil {
			return fmt.Errorf("record %d: %w", e.I, err)
		}
	}
	return nil
}

func (e *expectedRecord) check(rec table.Record) error {
	for _, p := range []struct {
		what, got string
		hex       *string
		n         int
		sum, head string
	}{{"key", rec.Key, e.K, e.KLen, e.KSHA256, e.KHead}, {"value", rec.Value, e.V, e.VLen, e.VSHA256, e.VHead}} {
		if p.hex != nil {
			if hex.EncodeToString([]byte(p.got)) != *p.hex {
				return fmt.Errorf("%s %q, want hex %s", p.what, p.got, *p.hex)
			}
			continue
		}
		sum := sha256.Sum256([]byte(p.got))
		if len(p.got) != p.n || hex.EncodeToString(sum[:]) != p.sum || hex.EncodeToString([]byte(p.got[:16])) != p.head {
			return fmt.Errorf("%s of %d bytes beginning %x, want %d bytes beginning %s", p.what, len(p.got), p.got[:16], p.n, p.head)
		}
	}
	return nil
}

// kinds are the classes of damage in the manifest.
var kinds = map[string]error{
	"empty-file": table.ErrEmptyFile, "truncated": table.ErrTruncated, "not-a-database": table.ErrNotDatabase,
	"unsupported-version": table.ErrUnsupportedVersion, "unsupported-feature": table.ErrUnsupportedFeature,
	"corrupt": table.ErrCorrupt,
}

// runBad wants an error of the given class when the file is opened, listed, verified, or asked for its keys, and that every
// error says what kind of damage it is and where.
func runBad(v vector, content []byte) error {
	kind, ok := kinds[v.Error]
	if !ok {
		return fmt.Errorf("class %q is not known", v.Error)
	}
	err := provoke(v, content)
	var fe *table.FormatError
	switch {
	case err == nil:
		return errors.New("was read without complaint")
	case !errors.As(err, &fe):
		return fmt.Errorf("error without a place: %w", err)
	case !errors.Is(err, kind):
		return fmt.Errorf("class %v, want %v: %w", fe.Kind, kind, err)
	case !mtakit.Temporary(err):
		return fmt.Errorf("damage is permanent: %w", err)
	}
	return nil
}

// provoke does everything with a file until there is an error.
func provoke(v vector, content []byte) error {
	in, size := bytes.NewReader(content), int64(len(content))
	if v.Kind == "cdb" {
		r, err := cdb.NewReader(in, size, v.File)
		if err != nil {
			return err
		}
		if _, err := collect(r.All()); err != nil {
			return err
		}
		if err := lookupEveryTable(r.Lookup); err != nil {
			return err
		}
		_, err = r.Verify()
		return err
	}
	r, err := bdb.NewReader(in, size, v.File)
	if err != nil {
		return err
	}
	if _, err := collect(r.All()); err != nil {
		return err
	}
	return nil
}

// lookupEveryTable asks for so many absent keys that every table is met.
func lookupEveryTable(lookup func([]byte) ([]byte, bool, error)) error {
	for i := range 4096 {
		if _, _, err := lookup(fmt.Appendf(nil, "k%d", i)); err != nil {
			return err
		}
	}
	return nil
}

// runText parses a source text as the named program does, compares complaints and exit status, and builds a map of the
// records.
func runText(t *testing.T, v vector, content []byte, want []expectedRecord) error {
	program, _, _ := strings.Cut(v.Parser, " ")
	var res textResult
	var err error
	switch program {
	case "makemap":
		res, err = parseMakemap(v, content)
	case "postmap", "postalias":
		res, err = parsePostfix(v, content)
	case "newaliases":
		res, err = parseAliases(v, content)
	default:
		return fmt.Errorf("parser %q is not known", v.Parser)
	}
	if err != nil {
		return err
	}
	if v.Exit == nil || res.exit != *v.Exit {
		return fmt.Errorf("exit %d, want %v", res.exit, v.Exit)
	}
	if !slices.Equal(res.messages, v.Message) {
		return fmt.Errorf("messages\n%q, want\n%q", res.messages, v.Message)
	}
	sortRecords(res.recs)
	if err := compareRecords(v, res.recs, want); err != nil {
		return err
	}
	return buildText(t, v, res.recs)
}

// buildText makes the map of a text, and finds the same records in it.
func buildText(t *testing.T, v vector, recs []table.Record) error {
	engine := bdb.Hash()
	if strings.Contains(v.Parser, "btree") {
		engine = bdb.Btree()
	}
	b, err := engine.NewBuilder(table.BuildOptions{Duplicates: table.KeepAll})
	if err != nil {
		return err
	}
	for _, rec := range recs {
		if err := b.Put([]byte(rec.Key), []byte(rec.Value)); err != nil {
			return err
		}
	}
	path := filepath.Join(t.TempDir(), "map.db")
	if err := engine.Install(t.Context(), path, b, nil); err != nil {
		return err
	}
	m, err := engine.Open(t.Context(), path, table.OpenOptions{})
	if err != nil {
		return err
	}
	defer m.Close()
	got, err := collect(m.All())
	if err != nil {
		return err
	}
	sortRecords(got)
	return compareRecords(v, got, nil)
}

// sortRecords sorts by key, then value.
func sortRecords(recs []table.Record) {
	slices.SortStableFunc(recs, func(a, b table.Record) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Value, b.Value))
	})
}

type textResult struct {
	recs     []table.Record
	messages []string
	exit     int
}

// parseMakemap runs "makemap OPTIONS hash".
func parseMakemap(v vector, content []byte) (res textResult, err error) {
	g := &table.Grammar{}
	nul := ""
	words := strings.Fields(v.Parser)[1:]
	for len(words) > 1 {
		switch words[0] {
		case "-N":
			nul = "\x00"
		case "-f":
			g.KeepCase = true
		case "-d":
			g.Duplicates = table.KeepAll
		case "-r":
			g.Duplicates = table.KeepLast
		case "-e":
			g.EmptyValues = true
		case "-t":
			g.Separator = words[1][0]
			words = words[1:]
		case "-D":
			g.Comment = words[1][0]
			words = words[1:]
		default:
			return res, fmt.Errorf("option %q is not known", words[0])
		}
		words = words[1:]
	}
	if len(words) != 1 || words[0] != "hash" && words[0] != "btree" {
		return res, fmt.Errorf("parser %q is not known", v.Parser)
	}
	text, perr := table.Parse(bytes.NewReader(content), "MAP", g)
	for _, e := range syntaxErrors(perr) {
		res.messages = append(res.messages, fmt.Sprintf("makemap: MAP: line %d: %v", e.Pos.Line, e.Err))
		res.exit = 65
	}
	res.recs = appended(text, nul)
	return res, nil
}

// parseAliases runs newaliases, whose grammar is that of package alias.
func parseAliases(v vector, content []byte) (res textResult, err error) {
	nul := ""
	switch v.Parser {
	case "newaliases (AliasFile=path)", "newaliases (AliasFile=hash:-N path)":
		nul = "\x00"
	case "newaliases (AliasFile=hash:path)", "newaliases (AliasFile=btree:path)":
	default:
		return res, fmt.Errorf("parser %q is not known", v.Parser)
	}
	stored := make(map[string]string)
	rep, err := new(alias.Builder).Build(bytes.NewReader(content), "SOURCE", func(key, value string) error {
		stored[key] = value
		return nil
	})
	for key, value := range stored {
		res.recs = append(res.recs, table.Record{Key: key + nul, Value: value + nul})
	}
	res.messages, res.exit = rep.Lines, rep.Exit
	return res, err
}

// parsePostfix runs "postmap hash" or "postalias hash".
func parsePostfix(v vector, content []byte) (res textResult, err error) {
	g := &table.Grammar{Form: table.Postmap}
	words := strings.Fields(v.Parser)
	if words[0] == "postalias" {
		g.Form = table.Postalias
	}
	nul := "\x00"
	for _, w := range words[1:] {
		switch {
		case w == "-f":
			g.KeepCase = true
		case w == "-n":
			nul = ""
		case w == "-r":
			g.Duplicates = table.KeepLast
		case w == "hash" || w == "btree":
		case strings.HasPrefix(w, "("):
		case strings.HasPrefix(w, "-"):
			return res, fmt.Errorf("option %q is not known", w)
		}
		if strings.HasPrefix(w, "(") {
			break
		}
	}
	text, perr := table.Parse(bytes.NewReader(content), "SOURCE", g)
	remarks := syntaxErrors(errors.Join(append([]error{perr}, text.Warnings()...)...))
	slices.SortStableFunc(remarks, func(a, b *mtakit.SyntaxError) int { return a.Pos.Line - b.Pos.Line })
	for _, e := range remarks {
		where := fmt.Sprintf("SOURCE, line %d", e.Pos.Line)
		if errors.Is(e, table.ErrDuplicate) {
			where = "SOURCE.db"
		} else if errors.Is(e, table.ErrContinuesNothing) {
			where = "SOURCE"
		}
		res.messages = append(res.messages, fmt.Sprintf("%s: warning: %s: %v", words[0], where, e.Err))
	}
	res.recs = appended(text, nul)
	if g.Form == table.Postalias {
		res.recs = append(res.recs, table.Record{Key: "@" + nul, Value: "@" + nul},
			table.Record{Key: "YP_MASTER_NAME", Value: "mx.example.org"}) // the host where the vectors were made
	}
	return res, nil
}

// appended lists the records of a text without positions and with nul behind keys and values.
func appended(text *table.Text, nul string) []table.Record {
	recs := []table.Record{}
	for rec := range text.All() {
		recs = append(recs, table.Record{Key: rec.Key + nul, Value: rec.Value + nul})
	}
	return recs
}

// syntaxErrors splits a joined error.
func syntaxErrors(err error) (out []*mtakit.SyntaxError) {
	var se *mtakit.SyntaxError
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			out = append(out, syntaxErrors(e)...)
		}
	} else if errors.As(err, &se) {
		out = append(out, se)
	}
	return out
}
