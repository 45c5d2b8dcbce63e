"""The live view of a run: figures and page from plain values, served by Panel."""
