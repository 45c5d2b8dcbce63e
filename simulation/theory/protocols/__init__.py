"""Protocols beyond the two-device witness: pulsed pairs, linear optics, threshold heralds."""
