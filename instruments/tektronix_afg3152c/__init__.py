"""Tektronix AFG3152C function generator."""
