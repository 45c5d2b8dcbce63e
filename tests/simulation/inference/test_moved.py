"""A lab that has changed since its posterior: what changed is named, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.inference import _centre, plan, simulated
from simulation.inference.likelihood import Data
from simulation.inference.moved import LabMoved, freed, prior_of, what_moved
from simulation.inference.posterior import Posterior, Sampler
from simulation.inference.prior import make_prior
from simulation.inference.sampling import find_maximum
from simulation.theory.dlcz import riedinger2018

DRIFT = 0.03
SETS = ("witness", "phase_sweep", "stray_light", "g2 A", "g2 B", "thermometry A", "thermometry B")
PLANNED = [one for one in plan(delays=0, windows=()) if one[0] in SETS]


@pytest.fixture(scope="module")
def posterior():
    """Normal about the maximum of one campaign of the model."""
    campaign = simulated(_centre(), PLANNED, np.random.default_rng(2), DRIFT)
    prior = make_prior(campaign, riedinger2018())
    maximum = find_maximum(Data.of(campaign), prior)
    rng = np.random.default_rng(3)
    z = rng.multivariate_normal(maximum.z, maximum.covariance, 2000, method="cholesky")
    return Posterior(
        draws=prior.values(z), prior=prior.values(z),
        best={n: float(v[0]) for n, v in prior.values(maximum.z[None]).items()},
        free=prior.free, covariance=maximum.covariance, undetermined={}, deviance=1.0, p_value=0.5,
        sampler=Sampler(ess=2000.0, draws=2000, fallback=False, seed=3, seconds=0.1),
        preset="riedinger2018", reference=campaign.reference, levels={}, runs=("here",),
        observed={}, drift=DRIFT,
    )  # fmt: skip


def moved(posterior, seed, **values):
    campaign = simulated(_centre() | values, PLANNED, np.random.default_rng(seed), DRIFT)
    return what_moved(campaign, posterior)


@pytest.mark.parametrize("seed", [10, 11])
def test_lab_that_has_not_moved_is_left_in_peace(posterior, seed):
    """Each alarm has a chance of 2 · 10⁻³."""
    found = moved(posterior, seed)
    assert not found.moved
    assert found.changes == ()
    assert "has not moved" in next(iter(found.sentences()))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"eta_2": 0.5 * _centre()["eta_2"]}, "scattered light at detector 2"),
        ({"phi": _centre()["phi"] + 1.3}, "phase of the fringe"),
        (
            {"n_0_A": 2 * _centre()["n_0_A"], "n_0_B": 2 * _centre()["n_0_B"]},
            "resting phonons of both",
        ),
        ({"afterpulse": 2e-3, "afterpulse_share": 0.0}, "afterpulses of detector 2 alone"),
    ],
)
def test_what_has_changed_is_named_first(posterior, values, said):
    found = moved(posterior, 20, **values)
    assert found.moved
    assert found.changes[0].what.startswith(said)
    assert found.left > 1e-3, "with it, the data fit"
    name, value = next(iter(values.items()))
    if name == "afterpulse":  # twice the mean of both
        size = float(found.changes[0].size.rpartition(" to ")[2])
        assert size == pytest.approx(4e-3, rel=0.5)
    elif name != "phi":
        size = float(found.changes[0].size.removeprefix("times "))
        assert size == pytest.approx(value / _centre()[name], rel=0.25)


def test_change_that_no_single_one_explains_is_an_alarm_too(posterior):
    found = moved(
        posterior, 21, eta_2=0.5 * _centre()["eta_2"], dark_rate_1=3 * _centre()["dark_rate_1"]
    )
    assert found.moved
    assert found.left < 1e-3
    assert any("still do not fit" in text for text in found.sentences())


def test_misfit_that_the_posterior_had_itself_is_no_move():
    found = LabMoved(deviance=90.0, p_value=1e-5, changes=(), left=1e-5, learned_p_value=0.3)
    assert found.moved
    misfit = replace(found, learned_p_value=1e-6)
    assert not misfit.moved
    assert "the model is to be mended first" in list(misfit.sentences())[-1]


def test_freed_direction_is_wide_and_all_others_stay(posterior):
    prior = prior_of(posterior)
    wider = freed(prior, {"n_0_A": 1.0, "afterpulse": 1.0})
    assert wider.free == (*prior.free, "afterpulse")
    at, other = prior.free.index("n_0_A"), prior.free.index("n_0_B")
    assert wider.sd[at] > 2.5
    assert wider.sd[other] == pytest.approx(prior.sd[other])
    assert wider.values(wider.mean[None])["afterpulse"][0] > 0


def test_what_was_held_at_zero_is_moved_by_no_factor(posterior):
    prior = prior_of(posterior)
    fixed = replace(prior, held=prior.held | {"n_prompt_C": 0.0})
    assert "n_prompt_C" in freed(fixed, {"n_prompt_C": 1.0, "n_0_A": 1.0}).held
