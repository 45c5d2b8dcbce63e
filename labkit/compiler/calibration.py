"""Measured constants of the set-up that turn optical quantities into volts."""

from dataclasses import dataclass
from math import pi
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Volts behind levels, phases and times. No value has a default: measure them.

    Attributes
    ----------
    aom_full : float
        AOM drive for full level, V at the generator into its declared load.
    v_pi : float
        Half-wave voltage of the EOM, V at its electrode.
    amplifier_gain : float
        From the waveform generator's output (V into 50 Ω) to the EOM's electrode, V/V.
    aom_delay : float
        From the pulse generator's trigger to light at the devices, s, beyond the programmed delay.
    eom_delay : float
        From the waveform generator's trigger to the phase at the EOM as seen at the devices, s.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    aom_full: float
    v_pi: float
    amplifier_gain: float
    aom_delay: float
    eom_delay: float

    def __post_init__(self) -> None:
        for name in ("aom_full", "v_pi", "amplifier_gain"):
            value = getattr(self, name)
            if not value > 0:
                message = f"`{name}` must be > 0, but is {value!r}"
                raise ValueError(message)

    def volts_of_phase(self, phase: float) -> float:
        """Waveform-generator volts for an optical phase (rad): V_π φ / (π · gain)."""
        return self.v_pi * phase / (pi * self.amplifier_gain)
