"""Stanford Research Systems: SIM900 mainframe, SIM960 PID controller."""

from instruments import drivers_in

__getattr__ = drivers_in(__name__, f"{__name__}.")
