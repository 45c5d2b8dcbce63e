"""Parameters of the pulsed DLCZ experiment with two mechanical devices and two detectors."""

from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.quantities import (
    FINITE,
    FRACTION,
    NON_NEGATIVE,
    POSITIVE_OR_INFINITE,
    Parameters,
    Quantity,
    Range,
    Value,
)

Real = NDArray[np.float64]

SOURCE: Final = "dlcz.presets.riedinger2018"


def _means(unit: str, allowed: Range, meaning: str) -> Quantity:
    return Quantity(unit, allowed, meaning, SOURCE)


_Phonons = Annotated[Value, _means("", NON_NEGATIVE, "phonons before the pump")]
_Pairs = Annotated[Value, _means("", NON_NEGATIVE, "Stokes probability of the pump, sinh² r")]
_Lifetime = Annotated[Value, _means("s", POSITIVE_OR_INFINITE, "mechanical energy lifetime 1/Γ")]
_Prompt = Annotated[
    Value,
    _means("", NON_NEGATIVE, "phonons the pump's absorption adds at once, before it scatters"),
]
_Bath = Annotated[
    Value, _means("", NON_NEGATIVE, "phonons of the bath the device decays to in the delay")
]
_Heat = Annotated[Value, _means("", NON_NEGATIVE, "classical phonons added before the read")]
_Swap = Annotated[Value, _means("", FRACTION, "state-swap efficiency of the read pulse")]
_Arm = Annotated[Value, _means("", FRACTION, "transmission from the device to the combiner")]
_Detector = Annotated[Value, _means("", FRACTION, "efficiency from the combiner to a click")]
_PumpLeak = Annotated[
    Value, _means("", NON_NEGATIVE, "detected thermal leak photons per pump gate")
]
_ReadLeak = Annotated[
    Value, _means("", NON_NEGATIVE, "detected thermal leak photons per read gate")
]
_Coherent = Annotated[
    Value, _means("", NON_NEGATIVE, "detected coherent leak photons per read gate")
]
_Dark = Annotated[Value, _means("", FRACTION, "probability of a dark click per gate")]
_Delay = Annotated[Value, _means("s", NON_NEGATIVE, "time τ from pump to read")]
_Splitting = Annotated[
    Value, _means("", FRACTION, "combiner's transmissivity, A to detector 1, B to 2")
]
_DeltaPhi = Annotated[
    Value, _means("rad", FINITE, "phase Δφ put on the read pulse, of B relative to A")
]
_Beat = Annotated[Value, _means("Hz", FINITE, "mechanical frequency difference ΔΩ/2π, of B to A")]
_Path = Annotated[Value, _means("rad", FINITE, "phase φ₀ of arm B relative to arm A")]
_Contrast = Annotated[
    Value, _means("", FRACTION, "indistinguishability of the devices' photons, pump and read")
]
_PhaseNoise = Annotated[
    Value, _means("rad", NON_NEGATIVE, "standard deviation of θ (slow lock noise counts twice)")
]
_Afterpulse = Annotated[
    Value,
    _means(
        "", FRACTION, "probability of a false click in the read gate per pump click, same detector"
    ),
]
_Blindness = Annotated[
    Value, _means("", FRACTION, "part of read clicks lost after a pump click of the same detector")
]
_Crosstalk = Annotated[
    Value,
    _means(
        "", FRACTION, "probability of a false click in the read gate per pump click, other detector"
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DLCZParameters(Parameters):
    """The pulsed protocol of seed 003: devices A and B, detectors 1 and 2.

    `simulation.theory.dlcz.state` is the model. The defaults are the witness measurement of the
    paper (see `riedinger2018`).
    """

    n_0_A: _Phonons = 0.039
    n_0_B: _Phonons = 0.017
    p_pump_A: _Pairs = 5.6e-3
    p_pump_B: _Pairs = 8.0e-3
    lifetime_A: _Lifetime = 4.0e-6
    lifetime_B: _Lifetime = 5.8e-6
    delay: _Delay = 123e-9
    n_prompt_A: _Prompt = 0.0
    n_prompt_B: _Prompt = 0.0
    n_env_A: _Bath = 0.039
    n_env_B: _Bath = 0.017
    n_heat_A: _Heat = 0.075
    n_heat_B: _Heat = 0.048
    p_read_A: _Swap = 0.0424
    p_read_B: _Swap = 0.0603
    eta_A: _Arm = 0.034
    eta_B: _Arm = 0.0243
    splitting: _Splitting = 0.5
    eta_1: _Detector = 0.4842
    eta_2: _Detector = 0.8062
    leak_pump_1: _PumpLeak = 3.9e-6
    leak_pump_2: _PumpLeak = 5.0e-6
    leak_read_1: _ReadLeak = 2.94e-5
    leak_read_2: _ReadLeak = 3.74e-5
    coherent_read_1: _Coherent = 0.0
    coherent_read_2: _Coherent = 0.0
    dark_1: _Dark = 2.9e-7
    dark_2: _Dark = 5.3e-7
    delta_phi: _DeltaPhi = 0.2 * np.pi
    delta_omega_hz: _Beat = 45e6
    phi_0: _Path = -0.585 * np.pi
    contrast: _Contrast = 1.0
    phase_noise: _PhaseNoise = 0.0
    afterpulse: _Afterpulse = 0.0
    blindness: _Blindness = 0.0
    crosstalk: _Crosstalk = 0.0

    @property
    def lost_interference(self) -> Real:
        """1 − v with v = contrast · e^{−σ²/2}, what is left of the interference; shape (...)."""
        contrast = np.asarray(self.contrast)
        noise = -np.expm1(-0.5 * np.square(self.phase_noise))
        return np.asarray((1 - contrast) + contrast * noise)

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
        return on_last_axis(*values)


def on_last_axis(*parts: ArrayLike) -> Real:
    """Stack what broadcasts on a last axis, which is outermost in memory.

    Along a short innermost axis numpy is slow; `numpy.stack` costs more than most of what is
    stacked here.
    """
    found = np.empty((len(parts), *np.broadcast(*parts).shape))
    for number, part in enumerate(parts):
        found[number] = part
    return found.transpose((*range(1, found.ndim), 0))
