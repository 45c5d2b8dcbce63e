"""New Focus (Newport) TLB-6700 tunable laser."""

from instruments import drivers_in

__getattr__ = drivers_in(__name__, f"{__name__}.")
