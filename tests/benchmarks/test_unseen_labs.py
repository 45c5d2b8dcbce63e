"""The study of unseen labs: its labs, its simulated measurements, its tables."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.witness import cells_of
from benchmarks.unseen_labs import (
    MOVED,
    PAPER,
    _block,
    as_it_was,
    budget_table,
    constants_of,
    continued,
    plan_table,
    station_of,
    twin_table,
)
from simulation.inference.planning import ClickRates, claim_spread
from simulation.lab.world_parameters import WorldParameters
from simulation.theory.dlcz import riedinger2018

USUAL = riedinger2018()
RATES = ClickRates.of_model(replace(USUAL, delta_phi=float(USUAL.delta_phi) - 0.1 * np.pi))


def test_labs_are_drawn_about_the_paper_and_known_by_their_seed():
    first, again, other = (constants_of(seed) for seed in (901, 901, 902))
    assert first == again
    assert first != other
    assert first["arm_output"] == pytest.approx(PAPER, rel=0.6)
    options = station_of(first, 901).config.world.options
    assert WorldParameters.of(options["parameters"]).temperature == first["temperature"]


def test_lab_as_it_was_is_the_mean_of_its_last_seconds_and_a_wandering_phase_costs_contrast():
    """θ and θ + π are one; 0.3 rad of 20 000 angles leave e^(−0.045), to 3·10⁻³."""
    angles = 0.2 + 0.3 * np.random.default_rng(1).standard_normal(20_000)
    angles[::2] += np.pi
    same = {"eta_A": 0.1, "contrast": 0.9}
    late = [
        (2.0, same | {"cos_2theta": np.cos(2 * a), "sin_2theta": np.sin(2 * a)}) for a in angles
    ]
    early = (10.0, {"eta_A": 0.5, "contrast": 0.1, "cos_2theta": 1.0, "sin_2theta": 0.0})
    found = as_it_was([early, *late], last=40_000.0)
    assert found["eta_A"] == pytest.approx(0.1)
    assert found["theta"] == pytest.approx(0.2, abs=0.01)
    assert found["contrast"] == pytest.approx(0.9 * np.exp(-0.045), abs=3e-3)
    assert set(found) == {"eta_A", "theta", "contrast"}


def test_block_at_theta_and_pi_has_the_same_low_and_high_g2():
    """Within 4 σ of about 1700 and 9000 coincidences in cells of four each."""
    rng = np.random.default_rng(1)
    theta, pi = (_block(RATES, 3_000_000_000, rng, turned=turned) for turned in (False, True))
    cells = cells_of(theta, pi)
    for counts, expected in ((cells.low, cells.low_accidentals),
                             (cells.high, cells.high_accidentals)):  # fmt: skip
        g2, sigma = counts / expected, np.sqrt(counts) / expected
        for herald in (0, 1):
            apart = g2[herald, 0] - g2[herald, 1]
            assert abs(apart) < 4 * np.hypot(*sigma[herald])


def test_simulated_measurements_end_where_they_are_planned_to():
    """80 % lie between the ends; of 20, fewer than 11 would with a chance of 3 · 10⁻³."""
    planned = claim_spread([RATES])
    found = np.array([continued(RATES, seed) for seed in range(20)])
    assert np.sum((found >= planned.low) & (found <= planned.high)) >= 11


def test_tables_show_both_labs_side_by_side():
    night = {"what": next(iter(MOVED)), "p_value": 0.4, "said": ["all well"], "named": True}
    one = {
        "p_value": 0.2, "fresh": 0.68, "budget": [("R_m itself", [0.7, 0.6, 0.8], 0.72)],
        "plan": {"planned": [1e9, 2e9, np.inf], "truth": [9e8, 2e9, 3e9], "inside": 0.8},
        "nights": [night],
    }  # fmt: skip
    found = {901: one, 902: one}
    assert "| R_m itself | 0.700 [0.600, 0.800] | 0.720 |" in budget_table(found)
    assert "| R_m freshly calibrated, at the best phase |  | 0.680 |" in budget_table(found)
    assert "| 902 | 1 / 2 / never | 0.9 / 2 / 3 | 80 % |" in plan_table(found)
    assert "| nothing (another night) | 0.4 | all well | yes |" in twin_table(found)
