"""Which TimeHarp 260 is simulated, and when it answers which function of TH260Lib."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

NANO, PICO = "TimeHarp 260 N", "TimeHarp 260 P"
DLL, TTTR, MARKERS = 1, 2, 4
"""Bits of ``GetFeatures``."""

State = Literal["closed", "open", "ready"]


class Rule(NamedTuple):
    """In which state of the board, and on which model, a function answers.

    Attributes
    ----------
    needs : State or None
        None: it answers in every state, and for every board.
    sets : bool
        Whether it is refused from StartMeas to StopMeas.
    only : str or None
        The one model that has it.
    """

    needs: State | None = "ready"
    sets: bool = False
    only: str | None = None


RULES = {
    "OpenDevice": Rule(needs="closed"),
    "CloseDevice": Rule(needs=None),
    "Initialize": Rule(needs="open"),
    "GetHardwareInfo": Rule(),
    "GetFeatures": Rule(),
    "GetBaseResolution": Rule(),
    "GetNumOfInputChannels": Rule(),
    "SetSyncDiv": Rule(sets=True),
    "SetSyncEdgeTrg": Rule(sets=True, only=NANO),
    "SetSyncCFD": Rule(sets=True, only=PICO),
    "SetSyncChannelOffset": Rule(sets=True),
    "SetInputEdgeTrg": Rule(sets=True, only=NANO),
    "SetInputCFD": Rule(sets=True, only=PICO),
    "SetInputChannelOffset": Rule(sets=True),
    "SetInputChannelEnable": Rule(sets=True),
    "SetBinning": Rule(sets=True),
    "SetOffset": Rule(sets=True),
    "SetMarkerEnable": Rule(sets=True),
    "StartMeas": Rule(sets=True),
    "StopMeas": Rule(),
    "CTCStatus": Rule(),
    "GetResolution": Rule(),
    "GetSyncRate": Rule(),
    "GetCountRate": Rule(),
    "GetFlags": Rule(),
    "GetElapsedMeasTime": Rule(),
    "GetSyncPeriod": Rule(),
    "GetWarnings": Rule(),
    "ReadFiFo": Rule(),
}
"""By function, without ``TH260_``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeHarpModel:
    """Which board is simulated.

    Attributes
    ----------
    model, part, version, serial : str
    base_resolution : float
        s.
    features : int
    """

    model: str = NANO
    part: str = "sim"
    version: str = "sim 1"
    serial: str = "SIM0001"
    base_resolution: float = 250e-12
    features: int = DLL | TTTR | MARKERS


PICO_BOARD = TimeHarpModel(model=PICO, base_resolution=25e-12)
