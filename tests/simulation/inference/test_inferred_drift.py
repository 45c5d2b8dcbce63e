"""How far things drift is learned from the scatter of the settings, and held where it is given."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from benchmarks.inference import _centre, plan, simulated
from simulation.inference.checks import prior_conflicts
from simulation.inference.infer import infer
from simulation.inference.likelihood import Data, Likelihood, aside_covariance, drift_covariance
from simulation.inference.posterior import load_posterior
from simulation.inference.prior import make_prior
from simulation.inference.sampling import find_maximum
from simulation.inference.table import to_coordinate
from simulation.theory.dlcz import riedinger2018

PRESET = riedinger2018()


def campaign_of(drift, seed, *names):
    made = simulated(_centre(), plan(delays=4), np.random.default_rng(seed), drift)
    kept = tuple(r for r in made.records if not names or r.data_set in names)
    return replace(made, records=kept)


def point(prior, **changes):
    values = _centre() | changes
    return np.array([float(to_coordinate(name, values[name])) for name in prior.free])


@pytest.mark.parametrize("drift", [0.02, 0.05, 0.12])
def test_drift_is_found_within_its_interval(drift):
    """3.5 σ of the normal approximation in ln(drift), about 6 %: 1 in 2000 by chance."""
    campaign = campaign_of(drift, 5)
    found = find_maximum(Data.of(campaign), make_prior(campaign, PRESET))
    at = found.likelihood.prior.free.index("drift")
    sigma = float(np.sqrt(found.covariance[at, at]))
    assert sigma < 0.09
    assert abs(found.z[at] - np.log(drift)) < 3.5 * sigma


def test_mean_of_the_drifts_found_is_the_true_one():
    """Eight campaigns, 6 % each in ln(drift): ± 2.1 %, of which 3.5 σ; the joint maximum has − 6 %.

    What the fit follows of the scatter is given back, as by restricted maximum likelihood.
    """
    found = []
    for seed in range(8):
        campaign = campaign_of(0.05, 100 + seed)
        maximum = find_maximum(Data.of(campaign), make_prior(campaign, PRESET))
        found.append(np.log(maximum.likelihood.drift(maximum.z) / 0.05))
    assert abs(np.mean(found)) < 3.5 * 0.06 / np.sqrt(8)


def test_two_settings_do_not_tell_the_drift():
    campaign = campaign_of(0.05, 5, "witness")
    found = infer(campaign, PRESET, draws=1000, seed=1)
    assert not found.determined("drift")
    assert "too few settings" in found.undetermined["drift"]
    sd = float(np.std(np.log(found.draws["drift"])))
    assert sd > 0.2


def test_drift_that_is_given_is_held(tmp_path):
    campaign = campaign_of(0.05, 5, "witness", "phase_sweep")
    found = infer(campaign, PRESET, drift=0.02, draws=1000, seed=1)
    assert "drift" not in found.free
    assert found.drift == 0.02
    assert set(found.draws["drift"]) == {0.02}
    found.save(tmp_path / "held.nc")
    assert load_posterior(tmp_path / "held.nc").drift == 0.02


def test_density_is_that_of_the_whole_covariance():
    """ln of the density of two drifts, against the multivariate normal of C + drift² K."""
    campaign = campaign_of(0.05, 3, "witness", "phase_sweep", "stray_light", "g2 A")
    data, prior = Data.of(campaign), make_prior(campaign, PRESET)
    z = point(prior, drift=0.03)
    likelihood = Likelihood(data, prior, z)
    at = prior.free.index("drift")
    other = z.copy()
    other[at] = np.log(0.08)
    singles, g2, _ = data.expected(prior.values(z[None]))
    raw = likelihood.log_residuals(singles[0], g2[0])
    means = np.concatenate([singles[0][data.normal], (g2[0] * data.exposure)[data.many]])
    counted = aside_covariance(data) + np.diag(1 / means)
    drifting = drift_covariance(data, prior.values(z[None]))
    direct = []
    for drift in (0.03, 0.08):
        own = stats.multivariate_normal(np.zeros(len(raw)), counted + drift**2 * drifting)
        off = (np.log(drift) - prior.mean[at]) / prior.sd[at]
        direct.append(float(own.logpdf(raw)) - 0.5 * off**2)
    fast = likelihood.log_density(np.array([z, other]))
    assert fast[1] - fast[0] == pytest.approx(direct[1] - direct[0], abs=1e-6)
    np.testing.assert_allclose(likelihood.noise(other), counted + 0.08**2 * drifting, rtol=1e-9)


@pytest.mark.parametrize("eta", ["eta_2", "eta_A"])
def test_drifts_of_a_perfect_efficiency_are_those_of_one_a_little_below(eta):
    """Slopes in ln(efficiency) are the same to a step of 10⁻³."""
    data = Data.of(campaign_of(0.05, 3, "witness", "stray_light"))
    perfect, below = (
        drift_covariance(data, {n: np.array([v]) for n, v in (_centre() | {eta: of}).items()})
        for of in (1 - 1e-9, 0.998)
    )
    np.testing.assert_allclose(perfect, below, rtol=0.01, atol=1e-3)


def test_settings_that_scatter_by_more_than_usual_drifts_are_told():
    for drift, told in ((0.05, False), (0.2, True)):
        campaign = campaign_of(drift, 7)
        maximum = find_maximum(Data.of(campaign), make_prior(campaign, PRESET))
        assert any("scatter" in text for text in prior_conflicts(maximum)) == told
