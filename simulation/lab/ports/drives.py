"""Drives of the modulators: what a generator's channel puts out at each trigger."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Volts = NDArray[np.float64]
Trigger = Literal["external", "internal", "none"]
"""``external``: one start per trial; ``internal``: own timer, not in step; ``none``: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrivePulse:
    """One pulse per trigger, at the generator's connector into a real 50 Ω load.

    Attributes
    ----------
    delay : float
        From trigger to the middle of the leading edge, s.
    width : float
        Full width at half maximum, s.
    lead, trail : float
        10 % to 90 % edges, s.
    low, high : float
        Levels in V (a 50 Ω load, whatever load was declared).
    """

    delay: float
    width: float
    lead: float
    trail: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DriveSamples:
    """A sampled waveform per trigger, at the generator's connector into a real 50 Ω load.

    Attributes
    ----------
    samples : ndarray of float64, shape (n,)
        Volts; zero-order hold. After the last sample the output rests at the first.
    sample_rate : float
        Samples per second.
    delay : float
        From trigger to the first sample, s.
    """

    samples: Volts
    sample_rate: float
    delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PulseDrive:
    """What one pulse-generator channel puts out.

    Attributes
    ----------
    shape : DrivePulse or DriveSamples
    trigger : Trigger
    """

    shape: DrivePulse | DriveSamples
    trigger: Trigger = "external"


@dataclass(slots=True, kw_only=True)
class PulseDrivePort:
    """One channel of the AOM drive; ``None`` while its output is off.

    A device that declares a load R other than 50 Ω delivers v·(R + 50 Ω)/(2 R) into the real 50 Ω.
    """

    drive: PulseDrive | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhaseDrive:
    """What one waveform-generator channel puts out.

    Attributes
    ----------
    steps : tuple of (ndarray of float64, int)
        Samples in V into 50 Ω, and how often they are played; one after the other per trigger.
        Before the trigger and after the last step the output rests at the first sample.
    sample_rate : float
        Samples per second.
    coupling : {"DC", "AC", "DAC"}
        Output path.
    trigger : Trigger
        ``internal``: runs for ever, not in step with the trials.
    delay : float
        From trigger to the first sample, s.
    """

    steps: tuple[tuple[Volts, int], ...]
    sample_rate: float
    coupling: Literal["DC", "AC", "DAC"] = "DC"
    trigger: Trigger = "external"
    delay: float = 0.0


@dataclass(slots=True, kw_only=True)
class PhaseDrivePort:
    """One channel of the EOM drive; ``None`` while its output is off or nothing is loaded."""

    drive: PhaseDrive | None = None
