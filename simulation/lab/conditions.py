"""State of the world that decides the click statistics, interferometer phase apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.lab.device import DevicePulse
from simulation.lab.optics import TunableFilterState
from simulation.lab.scattering import ScatteredPulse

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conditions:
    """What a trial is made of now.

    Attributes
    ----------
    pulses : tuple of ScatteredPulse
        In time order.
    trains : tuple of tuples of DevicePulse
        The same pulses as device A sees them, and as device B does.
    laser_hz : tuple of float
        Optical frequencies.
    resting_power : ndarray, shape (2, 2)
        W of laser l at device X between the pulses.
    resting_scattering : ndarray, shape (2, 2, 2)
        Photons per s and W that they scatter there without phonons, element [side, l, X].
    in_step : bool
        Whether the phase modulation repeats from trial to trial.
    filters : sequence of sequences of TunableFilterState
        Before detectors 1, 2.
    temperature : float
        K.
    efficiency, dark_rate : tuple of float
        Of detectors 1, 2; dark counts per s.
    """

    pulses: tuple[ScatteredPulse, ...]
    trains: tuple[tuple[DevicePulse, ...], tuple[DevicePulse, ...]]
    laser_hz: tuple[float, float]
    resting_power: Real
    resting_scattering: Real
    in_step: bool
    filters: Sequence[Sequence[TunableFilterState]]
    temperature: float
    efficiency: tuple[float, float]
    dark_rate: tuple[float, float]
