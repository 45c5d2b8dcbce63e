"""Theory models, and a virtual lab behind simulated instruments."""
# One of labkit's own packages. labkit/_guard.py looks for this line.
