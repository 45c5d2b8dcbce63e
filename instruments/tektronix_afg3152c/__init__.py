"""Tektronix AFG3152C function generator."""

from instruments import drivers_in

__getattr__ = drivers_in(__name__, f"{__name__}.")
