module github.com/mtakit/mtakit/examples

go 1.26.0

require github.com/mtakit/mtakit v0.0.0

replace github.com/mtakit/mtakit => ../
