"""Any QCoDeS parameter in a role of the experiment, by station file alone."""

from instruments import drivers_in

__getattr__ = drivers_in(__name__, f"{__name__}.")
