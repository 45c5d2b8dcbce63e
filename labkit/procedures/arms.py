"""One device at a time: the other arm blocked by its attenuator."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from labkit.procedures.session import Session
from labkit.procedures.setting_back import setting_back

Device = Literal["A", "B"]
DEVICES: tuple[Device, Device] = ("A", "B")
CLOSED = 1e-3
"""Transmission that counts as a blocked arm."""


@contextmanager
def only(session: Session, device: Device, closed: float = CLOSED) -> Iterator[None]:
    """Block the other arm; its attenuator is set back at the end (see `setting_back`).

    The lock pulse's fringe is gone meanwhile: lock anew where the phase matters.
    """
    other = session.lab.attenuators["B" if device == "A" else "A"]
    before = float(other.transmission())
    with setting_back(session, lambda: other.transmission(before)):
        other.transmission(closed)
        yield
