"""The drivers that come with edgekernel: one module per chip or part."""
