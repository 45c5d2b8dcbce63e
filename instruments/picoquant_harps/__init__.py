"""PicoQuant MultiHarp 150/160, HydraHarp 400 and PicoHarp 330 time taggers."""

from instruments import drivers_in

__getattr__ = drivers_in(__name__, f"{__name__}.")
