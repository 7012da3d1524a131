module github.com/mtakit/mtakit/examples

go 1.26.0

require github.com/mtakit/mtakit v0.0.0

require (
	github.com/BurntSushi/toml v1.6.0 // indirect
	github.com/rogpeppe/go-internal v1.16.0 // indirect
	github.com/stretchr/testify v1.12.1 // indirect
)

replace github.com/mtakit/mtakit => ../
