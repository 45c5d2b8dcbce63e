"""Agilent/Keysight 81180A arbitrary waveform generator."""
