"""Parameter sets and the extended-precision reference shared by the tests of the model."""

import itertools
from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest

from simulation.theory.dlcz import DLCZParameters, riedinger2018

NOISELESS = {
    **dict.fromkeys(DLCZParameters.quantities(), 0.0),
    **dict.fromkeys(("p_pump_A", "p_pump_B"), 0.01),
    **dict.fromkeys(("p_read_A", "p_read_B", "eta_A", "eta_B"), 0.1),
    **dict.fromkeys(("eta_1", "eta_2", "splitting"), 0.5),
    **dict.fromkeys(("lifetime_A", "lifetime_B"), np.inf),
    "contrast": 1.0,
}
DEVICE_A = {"n_0_A": 0.3, "p_pump_A": 0.2, "n_env_A": 0.7, "n_heat_A": 0.11, "p_read_A": 0.4}
DEVICE_B = {"n_0_B": 0.1, "p_pump_B": 0.5, "n_env_B": 0.2, "n_heat_B": 0.23, "p_read_B": 0.7}
PATHS = {"lifetime_A": 1e-6, "lifetime_B": 2e-7, "eta_A": 0.8, "eta_B": 0.6, "splitting": 0.3}
DETECTOR_1 = {"eta_1": 0.9, "leak_pump_1": 0.01, "leak_read_1": 0.02, "coherent_read_1": 0.3}
DETECTOR_2 = {"eta_2": 0.7, "leak_pump_2": 0.03, "leak_read_2": 0.04, "coherent_read_2": 0.1}
REST = {"dark_1": 0.01, "dark_2": 0.02, "delta_phi": 0.4, "phi_0": 0.9}
LIES = {
    "contrast": 0.7,
    "phase_noise": 0.4,
    "afterpulse": 0.03,
    "blindness": 0.2,
    "crosstalk": 0.05,
    "n_prompt_A": 0.02,
    "n_prompt_B": 0.01,
}
NOISY = {**DEVICE_A, **DEVICE_B, **PATHS, **DETECTOR_1, **DETECTOR_2, **REST}


@pytest.fixture
def noiseless():
    """Identical devices at the optimal phase with no noise but the pump's own pairs."""
    return lambda **changes: DLCZParameters(**{**NOISELESS, **changes})


@pytest.fixture
def noisy():
    """Everything different and nothing zero."""
    return lambda **changes: replace(riedinger2018(), **{**NOISY, **changes})


@pytest.fixture
def lying(noisy):
    """All that, and detectors and light that do what they should not."""
    return lambda **changes: noisy(**{**LIES, **changes})


@pytest.fixture
def exact_pattern():
    """P(exactly these click) by inclusion–exclusion in mpmath numbers."""
    return _pattern


def _pattern(kernel, mean, dark, clicks):
    clicked = [mode for mode, click in enumerate(clicks) if click]
    rest = [mode for mode, click in enumerate(clicks) if not click]
    return mp.fsum(
        (-1) ** k * _silence(kernel, mean, dark, sorted([*rest, *also]))
        for k in range(len(clicked) + 1)
        for also in itertools.combinations(clicked, k)
    )


def _silence(kernel, mean, dark, silent):
    """P(all of `silent` silent), in mpmath numbers."""
    g = mp.matrix(len(silent), len(silent))
    for a, i in enumerate(silent):
        for b, j in enumerate(silent):
            g[a, b] = mp.mpc(kernel[i, j]) + int(i == j)
    v = mp.matrix([mp.mpc(mean[i]) for i in silent])
    exponent = (v.H * mp.lu_solve(g, v))[0].real if any(mean[i] for i in silent) else 0
    lit = mp.exp(-exponent) / mp.det(g).real if silent else mp.mpf(1)
    return lit * mp.fprod(1 - mp.mpf(float(dark[i])) for i in silent)
