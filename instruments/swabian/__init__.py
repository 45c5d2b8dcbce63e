"""Swabian Instruments Time Tagger."""

from instruments import drivers_in

__getattr__ = drivers_in(__name__, f"{__name__}.")
