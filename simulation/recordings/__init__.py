"""Modelled experiments as tag files: clicks, arrival times, recordings."""
