"""Reference numbers of R_m at the paper's preset, and what a witness with calibrations tells."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats

from benchmarks.inference import REFERENCE, _centre, simulated
from simulation.inference.data import Campaign, Record, blocked_arm_events
from simulation.inference.infer import infer
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
    still = {"drift": 0.0}
    prior = make_prior(replace(campaign, read_over_pump=None), PRESET, changes=changes, fixed=still)
    z = np.array([float(to_coordinate(name, truth[name])) for name in prior.free])
    of_data, of_prior, _ = Likelihood(Data.of(campaign), prior, z).information(z)
    at = prior.free.index("contrast")
    slope = 1 / stats.norm.pdf(z[at])  # of z in the contrast
    of_data[at] *= slope
    of_data[:, at] *= slope
    of_prior[at, at] = 0.3**-2
    sd = np.sqrt(np.diag(np.linalg.inv(of_data + of_prior)))
    assert sd[at] == pytest.approx(0.048, rel=0.05)
    assert 3 * sd[prior.free.index("phi")] == pytest.approx(0.097, rel=0.05)


def published(name, delta_phi, trials, pump, read, pairs):
    """Counts of the paper; pairs r1p1, r1p2, r2p1, r2p2."""
    return Record(
        data_set=name, run=name, setting=replace(REFERENCE, delta_phi=delta_phi), trials=trials,
        singles=np.array([*pump, *read], float),
        coincidences=np.array(pairs, float).reshape(2, 2),
    )  # fmt: skip


def test_phase_and_contrast_of_the_papers_data():
    """φ/π 0.095 [0.059, 0.131], contrast 0.972 [0.941, 0.992]; both sets, g² as Gamma events.

    The optimal set, and what the extended one has beyond it at Δφ = 0; ends of the intervals have
    a sampling error of 0.003.
    """
    optimal = published("optimal", 0.2 * np.pi, 1_114_000_000, (111134, 184114), (108723, 167427),
                        (9, 129, 130, 37))  # fmt: skip
    beyond = published("beyond", 0.0, 835_000_000, (84946, 138494), (85300, 132946),
                       (7, 113, 93, 30))  # fmt: skip
    blocked = [blocked_arm_events(*one, REFERENCE) for one in (("A", 7.1, 47), ("B", 9.6, 94))]
    campaign = Campaign(records=(optimal, beyond, *blocked), reference=REFERENCE)
    known = {name: float(getattr(PRESET, name)) for name in (
        "p_pump_A", "p_pump_B", "leak_pump_1", "leak_pump_2", "leak_read_1", "leak_read_2",
    )}  # fmt: skip
    changes = {name: (value, 0.1) for name, value in known.items()}
    changes |= {f"dark_rate_{j}": (getattr(PRESET, f"dark_{j}") / 60e-9, 0.1) for j in "12"}
    changes |= {"p_read_A": (0.038, 0.3), "p_read_B": (0.054, 0.3), "leak_share": (0.5, 0.01)}
    changes |= {"n_0_A": (0.039, 0.01), "n_0_B": (0.017, 0.01)}
    for x in "AB":
        changes |= {f"n_read_{x}": (0.05, 1.5), f"n_prompt_{x}": (1e-9, 0.01),
                    f"b_pump_{x}": (1e-9, 0.01)}  # fmt: skip
    fixed = {"delta_omega_hz": 45e6, "splitting": 0.5, "bath_lifetime": 0.5e-6}
    fixed |= {f"lifetime_{x}": float(getattr(PRESET, f"lifetime_{x}")) for x in "AB"}
    found = infer(campaign, PRESET, changes=changes, fixed=fixed, seed=1)
    offset = (found.draws["phi"] + REFERENCE.delta_phi) / np.pi
    quantiles = np.quantile(offset, [0.5, 0.16, 0.84])
    np.testing.assert_allclose(quantiles, [0.095, 0.059, 0.131], atol=0.01)
    contrast = np.quantile(found.draws["contrast"], [0.5, 0.16, 0.84])
    np.testing.assert_allclose(contrast, [0.972, 0.941, 0.992], atol=0.01)
    assert found.sampler.ess >= 200


@pytest.mark.parametrize(
    ("device", "mode", "events"), [("C", 7.1, 47), ("A", 0.0, 47), ("B", 7, 0)]
)
def test_blocked_arm_events_of_nothing_are_refused(device, mode, events):
    with pytest.raises(ValueError, match="must be of device A or B with mode and events above 0"):
        blocked_arm_events(device, mode, events, REFERENCE)
