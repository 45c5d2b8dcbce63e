"""Time tags to counts, g², the entanglement witness and fits; knows nothing of instruments."""
