"""The boards that come with edgekernel, as TOML: <vendor>/<board>.toml."""
