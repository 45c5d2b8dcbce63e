"""Theory models, and a virtual lab behind simulated instruments."""
