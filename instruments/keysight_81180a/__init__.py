"""Agilent/Keysight 81180A arbitrary waveform generator."""

from instruments import drivers_in

__getattr__ = drivers_in(__name__, f"{__name__}.")
