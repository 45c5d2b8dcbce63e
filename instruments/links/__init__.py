"""Ways to an instrument: VISA, and vendors' libraries."""
