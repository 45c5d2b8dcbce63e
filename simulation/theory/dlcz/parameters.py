"""Parameters of the pulsed DLCZ experiment with two mechanical devices and two detectors."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulation.theory.quantities import (
    FINITE,
    FRACTION,
    NON_NEGATIVE,
    POSITIVE_OR_INFINITE,
    Range,
    Value,
    checked,
    common_shape,
)

Real = NDArray[np.float64]


class Quantity(NamedTuple):
    """What a parameter means: SI unit (empty for a number), allowed range, meaning."""

    unit: str
    allowed: Range
    meaning: str


_OF_DEVICE: Final = {
    "n_0": Quantity("", NON_NEGATIVE, "phonons before the pump"),
    "p_pump": Quantity("", NON_NEGATIVE, "Stokes scattering probability of the pump, sinh² r"),
    "lifetime": Quantity("s", POSITIVE_OR_INFINITE, "mechanical energy lifetime 1/Γ"),
    "n_env": Quantity("", NON_NEGATIVE, "phonons of the bath the device decays to in the delay"),
    "n_heat": Quantity("", NON_NEGATIVE, "classical phonons added before the read"),
    "p_read": Quantity("", FRACTION, "state-swap efficiency of the read pulse"),
    "eta": Quantity("", FRACTION, "transmission from the device to the combiner"),
}
_OF_DETECTOR: Final = {
    "eta": Quantity("", FRACTION, "efficiency from the combiner to a click"),
    "leak_pump": Quantity("", NON_NEGATIVE, "detected thermal leak photons per pump gate"),
    "leak_read": Quantity("", NON_NEGATIVE, "detected thermal leak photons per read gate"),
    "coherent_read": Quantity("", NON_NEGATIVE, "detected coherent leak photons per read gate"),
    "dark": Quantity("", FRACTION, "probability of a dark click per gate"),
}
_COMMON: Final = {
    "delay": Quantity("s", NON_NEGATIVE, "time τ from pump to read"),
    "splitting": Quantity("", FRACTION, "combiner's transmissivity, A to detector 1, B to 2"),
    "delta_phi": Quantity("rad", FINITE, "phase Δφ put on the read pulse of B relative to A"),
    "delta_omega_hz": Quantity("Hz", FINITE, "mechanical frequency difference ΔΩ/2π"),
    "phi_0": Quantity("rad", FINITE, "phase φ₀ of arm B relative to arm A"),
}

QUANTITIES: Final[dict[str, Quantity]] = {
    **{f"{name}_{x}": quantity for name, quantity in _OF_DEVICE.items() for x in "AB"},
    **{f"{name}_{j}": quantity for name, quantity in _OF_DETECTOR.items() for j in "12"},
    **_COMMON,
}
"""Unit, range and meaning of every field of `DLCZParameters`, by name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DLCZParameters:
    """The pulsed protocol of seed 003: devices A and B, detectors 1 and 2.

    Every field is a number or an array; arrays broadcast against each other and span a batch.
    `QUANTITIES` states unit, range and meaning of each; `simulation.theory.dlcz.state` the model.
    The defaults are the witness measurement of the paper (see `riedinger2018`).

    Raises
    ------
    ValueError
        If a value is outside its range, or the arrays do not broadcast.
    """

    n_0_A: Value = 0.039
    n_0_B: Value = 0.017
    p_pump_A: Value = 5.6e-3
    p_pump_B: Value = 8.0e-3
    lifetime_A: Value = 4.0e-6
    lifetime_B: Value = 5.8e-6
    delay: Value = 123e-9
    n_env_A: Value = 0.039
    n_env_B: Value = 0.017
    n_heat_A: Value = 0.075
    n_heat_B: Value = 0.048
    p_read_A: Value = 0.0424
    p_read_B: Value = 0.0603
    eta_A: Value = 0.034
    eta_B: Value = 0.0243
    splitting: Value = 0.5
    eta_1: Value = 0.4842
    eta_2: Value = 0.8062
    leak_pump_1: Value = 3.9e-6
    leak_pump_2: Value = 5.0e-6
    leak_read_1: Value = 2.94e-5
    leak_read_2: Value = 3.74e-5
    coherent_read_1: Value = 0.0
    coherent_read_2: Value = 0.0
    dark_1: Value = 2.9e-7
    dark_2: Value = 5.3e-7
    delta_phi: Value = 0.2 * np.pi
    delta_omega_hz: Value = 45e6
    phi_0: Value = -0.585 * np.pi

    def __post_init__(self) -> None:
        for name, quantity in QUANTITIES.items():
            object.__setattr__(self, name, checked(name, getattr(self, name), quantity.allowed))
        _ = self.shape

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the batch: ``()`` if every parameter is a number."""
        return common_shape({name: getattr(self, name) for name in QUANTITIES})

    def per_device(self, name: str) -> Real:
        """Values of ``name_A`` and ``name_B`` on the last axis, shape (..., 2)."""
        return self._broadcast((f"{name}_A", f"{name}_B"))

    def per_detector(self, name: str) -> Real:
        """Values of ``name_1`` and ``name_2`` on the last axis, shape (..., 2)."""
        return self._broadcast((f"{name}_1", f"{name}_2"))

    def _broadcast(self, names: tuple[str, ...]) -> Real:
        values = [getattr(self, name) for name in names]
        if all(isinstance(value, float) for value in values):
            return np.array(values)
        return np.stack(np.broadcast_arrays(*values), axis=-1)
