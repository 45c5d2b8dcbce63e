"""Reference numbers of R_m at the paper's preset, and what a witness with calibrations tells."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats

from benchmarks.inference import REFERENCE, _centre, simulated
from simulation.inference.likelihood import Data, Likelihood
from simulation.inference.prior import make_prior
from simulation.inference.table import to_coordinate
from simulation.theory.dlcz import (
    fringe_phase,
    g2_clicks,
    measurable_witness,
    riedinger2018,
    symmetrised_witness,
)

PRESET = riedinger2018()
BEST = replace(PRESET, delta_phi=PRESET.delta_phi - fringe_phase(PRESET))


def r_m(parameters):
    return float(symmetrised_witness(measurable_witness(g2_clicks(parameters))))


def test_r_m_of_the_preset_and_of_its_best_phase():
    assert r_m(PRESET) == pytest.approx(0.691978, abs=1e-5)
    assert r_m(BEST) == pytest.approx(0.625648, abs=1e-5)


def test_contrast_at_zero_offset_that_equals_the_presets_offset():
    found = optimize.brentq(lambda c: r_m(replace(BEST, contrast=c)) - r_m(PRESET), 0.8, 1.0)
    assert found == pytest.approx(0.951057, abs=1e-5)
    assert found == pytest.approx(np.cos(0.1 * np.pi), abs=1e-5)


def test_contrast_of_0_94_at_zero_offset():
    assert r_m(replace(BEST, contrast=0.94)) == pytest.approx(0.708424, abs=1e-5)


def test_without_any_absorption_heating():
    assert r_m(replace(PRESET, n_heat_A=0.0, n_heat_B=0.0)) == pytest.approx(0.353083, abs=1e-5)


def test_witness_darks_leaks_and_phase_sweep_tell_contrast_and_phase():
    """1e9 trials, clicks before the pulse, leaks and 9 phases of 1e8: sd 0.048 and 0.097 rad.

    Fisher information at the preset, contrast 1 (in the contrast itself, prior 0.3), offset 0.1 π;
    the darks' prior of 2 and 1.5 % stands for the clicks outside the gates.
    """
    turned = [replace(REFERENCE, delta_phi=2 * np.pi * k / 9) for k in range(9)]
    planned = [
        ("witness", REFERENCE, 1e9, "pr"),
        ("stray_light", replace(REFERENCE, on_line=False), 1e8, "pr"),
        *(("phase_sweep", setting, 1e8, "pr") for setting in turned),
    ]
    truth = _centre() | {"contrast": 1 - 1e-9, "phi": -0.1 * np.pi}
    campaign = simulated(truth, planned, np.random.default_rng(1))
    changes = {"dark_rate_1": (truth["dark_rate_1"], 0.02)}
    changes |= {"dark_rate_2": (truth["dark_rate_2"], 0.015), "splitting": (0.5, 0.0075)}
    changes |= {f"n_prompt_{x}": (1e-9, 0.01) for x in "AB"}
    changes |= {"delta_omega_hz": (45e6, 0.9), "leak_share": (0.5, 0.01)}
    prior = make_prior(replace(campaign, read_over_pump=None), PRESET, changes=changes)
    z = np.array([float(to_coordinate(name, truth[name])) for name in prior.free])
    of_data, of_prior, _ = Likelihood(Data.of(campaign), prior, 0.0, z).information(z)
    at = prior.free.index("contrast")
    slope = 1 / stats.norm.pdf(z[at])  # of z in the contrast
    of_data[at] *= slope
    of_data[:, at] *= slope
    of_prior[at, at] = 0.3**-2
    sd = np.sqrt(np.diag(np.linalg.inv(of_data + of_prior)))
    assert sd[at] == pytest.approx(0.048, rel=0.05)
    assert 3 * sd[prior.free.index("phi")] == pytest.approx(0.097, rel=0.05)
