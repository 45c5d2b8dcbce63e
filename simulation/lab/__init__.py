"""The virtual lab: one physical world behind simulated instruments."""
