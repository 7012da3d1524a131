package mtakit

// Branch is an address on the way of a Resolution, with what the tables said about it and what came of it. A Branch
// without leaf and without branches of its own was dropped, and Note says why.
type Branch struct {
	Text     string   // the address as written
	Steps    []Step   // the tables that were asked, in order
	Note     string   // anything else worth knowing: "duplicate suppressed", …
	Leaf     *Leaf    // the delivery or failure; nil when the address leads on
	Branches []Branch // where it leads
}

// Tree returns the resolution as a tree, one root for each recipient: what Explain prints.
func (r *Resolution) Tree() []Branch {
	t := r.tree()
	return t.branches(nil)
}

func (t *tree) branches(parent *node) []Branch {
	var all []Branch
	for _, n := range t.children[parent] {
		b := Branch{Text: n.text, Steps: n.trace(), Note: n.note, Leaf: t.leaves[n], Branches: t.branches(n)}
		all = append(all, b)
	}
	return all
}
