"""Watching a run from outside: its folder as plain value objects; nothing is written or locked."""

from labkit.monitoring.monitor import RunMonitor
from labkit.monitoring.series import Series
from labkit.monitoring.snapshot import LeftOut, Snapshot
from labkit.monitoring.status import RunStatus

__all__ = ["LeftOut", "RunMonitor", "RunStatus", "Series", "Snapshot"]
