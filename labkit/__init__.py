"""labkit: experiment control, time-tag analysis and theory for pulsed DLCZ experiments."""

from labkit._guard import check_packages

__version__ = "0.1.0"

check_packages()
