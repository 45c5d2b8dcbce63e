"""Units of a simulated AFG3152C's amplitude: peak to peak, root mean square, dBm."""

import re
from dataclasses import dataclass
from math import inf, log10, sqrt

from simulation.lab.servers.scpi_values import ScpiError, Value

_AMPLITUDE = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:E[+-]?\d+)?)\s*([A-Z]*)")
_SUFFIXES = {
    "V": ("VPP", 1.0),
    "MV": ("VPP", 1e-3),
    "VPP": ("VPP", 1.0),
    "MVPP": ("VPP", 1e-3),
    "VRMS": ("VRMS", 1.0),
    "MVRMS": ("VRMS", 1e-3),
    "DBM": ("DBM", 1.0),
}
RMS = {"SIN": 8**-0.5, "SQU": 0.5, "PULS": 0.5, "RAMP": 12**-0.5}
"""Root mean square over peak to peak of the shapes for which VRMS and DBM are simulated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmplitudeUnit:
    """In what a channel reads and shows its amplitude.

    Attributes
    ----------
    unit : {"VPP", "VRMS", "DBM"}
        Of a number without unit, and of replies.
    shape : str
    load : float
        Declared load, Ω.
    """

    unit: str
    shape: str
    load: float

    def volts(self, argument: Value) -> float:
        """Return an amplitude as it came, in V peak to peak at the declared load."""
        found = _AMPLITUDE.fullmatch(str(argument).strip().upper())
        if found is None:
            raise ScpiError(-104)
        if found[2] and found[2] not in _SUFFIXES:
            raise ScpiError(-131)
        unit, factor = _SUFFIXES.get(found[2], (self.unit, 1.0))
        value = factor * float(found[1])
        if unit == "VPP":
            return value
        if unit == "DBM":
            value = sqrt(1e-3 * 10 ** (value / 10) * self._matched_load())
        return value / self._rms_share()

    def shown(self, span: float) -> float:
        """Return an amplitude (V peak to peak at the declared load) in the channel's unit."""
        if self.unit == "VPP":
            return span
        rms = span * self._rms_share()
        return rms if self.unit == "VRMS" else 10 * log10(rms**2 / self._matched_load() / 1e-3)

    def _rms_share(self) -> float:
        share = RMS.get(self.shape)
        if share is None:
            raise ScpiError(-221)
        return share

    def _matched_load(self) -> float:
        if self.load == inf:
            raise ScpiError(-221)
        return self.load
