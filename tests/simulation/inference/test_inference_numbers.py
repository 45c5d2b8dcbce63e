"""Reference numbers of R_m at the paper's preset, and what a witness with calibrations tells."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize

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
