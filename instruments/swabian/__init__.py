"""Swabian Instruments Time Tagger."""
