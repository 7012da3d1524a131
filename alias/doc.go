package alias
