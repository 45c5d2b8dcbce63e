"""Posteriors of campaigns that the model makes: recovery, honesty, identifiability, files."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.inference import (
    REFERENCE,
    WRONG,
    _centre,
    calibrate,
    narrow_prior,
    plan,
    simulated,
    wrong_case,
)
from simulation.inference.checks import _share_above
from simulation.inference.data import Campaign, Record, correlation_of
from simulation.inference.identify import undetermined
from simulation.inference.infer import infer
from simulation.inference.likelihood import Data, Likelihood, deviance
from simulation.inference.posterior import load_posterior
from simulation.inference.prior import make_prior
from simulation.inference.sampling import ensemble, find_maximum, sample
from simulation.inference.table import PARAMETERS, from_coordinate, to_coordinate
from simulation.inference.wrong import WrongModel
from simulation.theory.dlcz import g2_clicks, measurable_witness, riedinger2018

PRESET = riedinger2018()
EMPTY = Campaign(records=(), reference=REFERENCE, read_over_pump=7.4)


@pytest.fixture(scope="module")
def whole():
    """A campaign of the model at the preset, and its posterior."""
    campaign = simulated(_centre(), plan(delays=4), np.random.default_rng(1))
    return campaign, infer(campaign, PRESET, drift=0.02, draws=1500, seed=3)


def only(campaign, *names):
    return replace(campaign, records=tuple(r for r in campaign.records if r.data_set in names))


@pytest.mark.parametrize("name", PARAMETERS)
def test_coordinates_and_values_are_inverse(name):
    for z in (-2.3, 0.0, 0.9):
        z = z + (45 if name == "delta_omega_hz" else 0)
        assert float(to_coordinate(name, from_coordinate(name, z))) == pytest.approx(z)


def test_the_posterior_of_no_data_is_the_prior():
    prior = make_prior(EMPTY, PRESET)
    maximum = find_maximum(Data.of(EMPTY), prior)
    np.testing.assert_allclose(maximum.z, prior.mean, atol=1e-9)
    np.testing.assert_allclose(maximum.covariance, prior.covariance, rtol=1e-6, atol=1e-9)


def test_more_data_never_widen_an_interval(whole):
    campaign, _ = whole
    prior = make_prior(campaign, PRESET)
    sets = ["witness", "phase_sweep", "stray_light", "g2 A", "thermometry A", "pump_probe B"]
    before = prior.sd
    for number in range(1, len(sets) + 1):
        data = Data.of(only(campaign, *sets[:number]))
        at = Likelihood(data, prior, prior.mean)
        of_data, of_prior, _ = at.information(prior.mean)
        sd = np.sqrt(np.diag(np.linalg.inv(of_data + of_prior)))
        assert np.all(sd <= before * (1 + 1e-6))
        before = sd


def test_the_truth_lies_where_the_posterior_says(whole):
    """Of 27 correlated parameters none may be off by more than 3.7 σ (1 in 170 by chance)."""
    _, posterior = whole
    truth = _centre()
    for name in posterior.free:
        z = to_coordinate(name, posterior.draws[name])
        off = (float(to_coordinate(name, truth[name])) - z.mean()) / z.std()
        assert abs(off) < 3.7, name
    assert posterior.p_value > 1e-3
    assert posterior.sampler.ess >= 200


def test_what_thermometry_and_pump_probe_settle_is_determined(whole):
    _, posterior = whole
    for name in ("n_0_A", "n_read_A", "b_pump_B", "lifetime_A", "bath_lifetime", "leak_read_1"):
        assert posterior.determined(name), name


def test_witness_blocks_alone_leave_products_open_and_say_what_would_help(whole):
    campaign, posterior = whole
    prior = make_prior(campaign, PRESET)
    maximum = find_maximum(Data.of(only(campaign, "witness")), prior)
    rng = np.random.default_rng(1)
    draws = rng.multivariate_normal(maximum.z, maximum.covariance, 2000, method="cholesky")
    left_open = undetermined(maximum, draws, REFERENCE, 7.4)
    posterior = replace(posterior, undetermined=left_open)
    plain = posterior.to_dict()
    for name in ("p_pump_A", "eta_A", "n_0_A", "lifetime_A", "delta_omega_hz"):
        assert not posterior.determined(name)
        entry = plain["parameters"][name]
        assert entry["determined"] is False
        assert "median" not in entry
        assert entry["why"].startswith("not determined by these data")
    assert "pump_probe" in posterior.undetermined["lifetime_A"]
    assert "delay_sweep" in posterior.undetermined["delta_omega_hz"]


def test_what_only_priors_hold_is_not_determined(whole):
    """Draws without any spread: efficiencies of one witness are held by their priors alone."""
    campaign, _ = whole
    prior = make_prior(campaign, PRESET)
    maximum = find_maximum(Data.of(only(campaign, "witness", "stray_light")), prior)
    left_open = undetermined(maximum, np.tile(maximum.z, (10, 1)), REFERENCE, 7.4)
    assert {"eta_A", "p_pump_A", "p_read_B", "n_0_A"} <= left_open.keys()
    assert not {"leak_read_1", "dark_rate_1", "eta_2"} & left_open.keys()


def test_a_posterior_is_the_same_after_its_file(whole, tmp_path):
    _, posterior = whole
    posterior.save(tmp_path / "x.nc")
    again = load_posterior(tmp_path / "x.nc")
    assert again.to_dict() == posterior.to_dict()
    np.testing.assert_array_equal(again.draws["phi"], posterior.draws["phi"])
    np.testing.assert_array_equal(again.covariance, posterior.covariance)


def test_its_file_has_the_groups_that_arviz_reads(whole, tmp_path):
    import xarray as xr

    whole[1].save(tmp_path / "x.nc")
    with xr.open_dataset(tmp_path / "x.nc", group="posterior", engine="h5netcdf") as group:
        assert group["n_0_A"].dims == ("chain", "draw")
    with xr.open_datatree(tmp_path / "x.nc", engine="h5netcdf") as tree:
        assert {"posterior", "prior", "sample_stats", "observed_data"} <= set(tree.children)


def test_a_file_of_something_else_is_refused(tmp_path):
    import xarray as xr

    xr.Dataset({"x": 1.0}).to_netcdf(tmp_path / "y.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match="must be a posterior"):
        load_posterior(tmp_path / "y.nc")


def test_draws_become_parameters_of_the_theory(whole):
    _, posterior = whole
    r_m = measurable_witness(g2_clicks(posterior.parameters()))
    assert r_m.shape == (posterior.size, 2)
    alone = replace(REFERENCE, e_pump=(5.0, 0.0), e_read=(1.0, 0.0), delay=1e-6)
    there = posterior.best_parameters(alone)
    assert float(there.p_pump_B) == 0
    assert float(there.p_pump_A) == pytest.approx(
        (1 + posterior.best["p_pump_A"]) ** 5 - 1, rel=1e-9
    )


def test_a_parameter_that_is_fixed_stays_and_an_unknown_one_is_refused(whole):
    campaign, _ = whole
    prior = make_prior(campaign, PRESET, fixed={"contrast": 0.9})
    assert set(prior.values(prior.mean[None])["contrast"]) == {0.9}
    assert "contrast" not in prior.free
    with pytest.raises(ValueError, match="did you mean `contrast`"):
        make_prior(campaign, PRESET, fixed={"contrst": 0.9})
    with pytest.raises(ValueError, match=r"`contrast` must lie in \[0, 1\]"):
        make_prior(campaign, PRESET, fixed={"contrast": 1.9})


def test_deviance_is_that_of_poisson_counts_and_zero_at_the_count():
    assert float(deviance(np.array(7.0), np.array(7.0))) == pytest.approx(0.0, abs=1e-12)
    assert float(deviance(np.array(3.0), np.array(0.0))) == pytest.approx(6.0)
    rng = np.random.default_rng(2)
    many = deviance(np.full(20000, 400.0), rng.poisson(400.0, 20000).astype(float))
    assert many.mean() == pytest.approx(1.0, abs=4 * np.sqrt(2 / 20000))


def test_drifts_are_correlated_in_time_within_a_run_only():
    def at(run, begin):
        return Record(
            data_set="x", run=run, setting=REFERENCE, trials=10, singles=np.ones(4),
            coincidences=np.ones((2, 2)), spans=((begin, begin + 1.0),),
        )  # fmt: skip

    found = correlation_of([at("a", 0.0), at("a", 1800.0), at("b", 0.0)], 1800.0)
    assert found[0, 1] == pytest.approx(np.exp(-1.0), rel=1e-3)
    assert found[0, 2] == 0
    np.testing.assert_allclose(np.diag(found), 1.0)


def test_coincidences_do_not_tell_heating_better_than_the_pump_is_steady():
    """A bright lab of one minute a setting: b to 4 % if 5 % drift, to 3 % if g² felt no drift."""
    campaign = simulated(_centre(), plan(30.0), np.random.default_rng(1), 0.05)
    brief = tuple(
        replace(record, spans=((60.0 * number, 60.0 * number + 60.0),))
        for number, record in enumerate(campaign.records)
    )
    data = Data.of(replace(campaign, records=brief))
    prior = make_prior(campaign, PRESET)
    truth = _centre() | {"drift": 0.05}
    at = np.array([float(to_coordinate(name, truth[name])) for name in prior.free])
    blind = replace(data, many=np.zeros_like(data.many), few=data.paired)
    for one, low, high in ((data, 0.04, 0.06), (blind, 0.02, 0.03)):
        of_data, of_prior, _ = Likelihood(one, prior, at).information(at)
        sd = np.sqrt(np.diag(np.linalg.inv(of_data + of_prior)))
        assert low < sd[prior.free.index("b_pump_A")] < high


def test_a_record_of_many_blocks_stands_at_few_instants():
    spans = tuple((500.0 * k, 500.0 * (k + 1)) for k in range(1000))
    record = Record(
        data_set="x", run="a", setting=REFERENCE, trials=10, singles=np.ones(4),
        coincidences=np.ones((2, 2)), spans=spans,
    )  # fmt: skip
    time, weight = record.instants()
    assert len(time) == 200
    assert weight.sum() == pytest.approx(1.0)
    assert np.average(time, weights=weight) == pytest.approx(250_000.0)
    drift = float(correlation_of([record], 1800.0)[0, 0])  # exact: 2 τ/T (1 − τ/T) = 0.0072
    assert 0.0070 < drift < 0.0090


def test_the_ensemble_samples_a_normal_distribution_right():
    """15 dimensions: mean within 5 σ/√ESS, standard deviation within 5 %."""
    rng = np.random.default_rng(4)
    scale = np.linspace(0.5, 2.0, 15)
    start = scale * rng.standard_normal((60, 15))
    found = ensemble(lambda z: -0.5 * np.sum((z / scale) ** 2, axis=1), start, rng, steps=1500)
    assert found.ess > 500
    np.testing.assert_allclose(found.z.std(axis=0), scale, rtol=0.1)
    assert np.all(np.abs(found.z.mean(axis=0)) < 5 * scale / np.sqrt(found.ess))
    with pytest.raises(ValueError, match="even number of at least 32"):
        ensemble(lambda z: -0.5 * np.sum(z**2, axis=1), start[:20], rng, steps=5)


def test_an_ensemble_that_starts_three_times_too_wide_learns_the_width():
    """A sum of five positive parts known to 5 %, each to a factor e: curved, as heating is."""

    def log_density(z):
        total = np.log(np.exp(z).sum(axis=1))
        return -0.5 * (np.sum(z**2, axis=1) + ((total - np.log(5)) / 0.05) ** 2)

    rng = np.random.default_rng(6)
    found = ensemble(log_density, 3 * rng.standard_normal((100, 5)), rng, steps=300, least=400)
    z = rng.standard_normal((400_000, 5))
    weights = np.exp(log_density(z) + 0.5 * np.sum(z**2, axis=1))
    mean = np.average(z, weights=weights, axis=0)
    spread = np.sqrt(np.average((z - mean) ** 2, weights=weights, axis=0))
    assert found.ess >= 400
    assert np.all(np.abs(found.z.mean(axis=0) - mean) < 4 * spread / np.sqrt(found.ess))
    np.testing.assert_allclose(found.z.std(axis=0), spread, rtol=0.12)


def test_an_ensemble_goes_from_one_mode_to_the_other():
    """0.7 and 0.3 of the weight, 12 σ apart, begun half in each; 0.05 is 4 σ of 1500 draws."""

    def log_density(z):
        far = np.array([12.0, 0.0, 0.0])
        near, there = (-0.5 * np.sum((z - at) ** 2, axis=1) for at in (np.zeros(3), far))
        return np.logaddexp(np.log(0.7) + near, np.log(0.3) + there)

    rng = np.random.default_rng(7)
    start = rng.standard_normal((60, 3))
    start[::2, 0] += 12.0
    found = ensemble(log_density, start, rng, steps=1500)
    assert np.mean(found.z[:, 0] > 6.0) == pytest.approx(0.3, abs=0.05)


def test_too_few_effective_draws_call_the_ensemble(whole):
    campaign, _ = whole
    prior = make_prior(campaign, PRESET)
    maximum = find_maximum(Data.of(only(campaign, "witness")), prior)
    found = sample(maximum, 150, np.random.default_rng(1), steps=30)
    assert found.fallback
    assert found.tried > 150


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["mirror", "wrong ΔΩ", "arm left open", "shifted gate", "fixed efficiencies"]
)
def test_other_mistakes_are_found_and_named(name):
    assert WRONG[name].word in wrong_case(name, 0)[0]


@pytest.mark.long
def test_ranks_of_the_truth_are_uniform_in_15_runs():
    """Pooled over 29 correlated parameters: 68 % intervals hold 68 ± 10 %."""
    ranked = calibrate(15, seed=77)
    inside, total = ranked.coverage(0.68)
    assert inside / total == pytest.approx(0.68, abs=0.1)
    assert ranked.smallest_p()[1] > 1e-3


def test_the_prior_of_the_calibration_is_narrow():
    prior = narrow_prior(simulated(_centre(), plan(delays=3), np.random.default_rng(1)))
    assert prior.sd[prior.free.index("n_0_A")] == 0.3


def test_an_ensemble_goes_on_until_it_has_the_effective_size_asked_for():
    rng = np.random.default_rng(5)
    start = rng.standard_normal((20, 4))
    told = []
    found = ensemble(
        lambda z: -0.5 * np.sum(z**2, axis=1), start, rng, steps=60, least=150, tell=told.append
    )
    assert found.ess >= 150
    assert len(told) > 1


def test_a_wrong_models_p_value_counts_the_places_looked_at():
    """χ² of one degree of freedom: 10.83 is exceeded by 0.001."""
    assert WrongModel(sentence="x", gain=10.8276).p_value == pytest.approx(1e-3, rel=1e-3)
    assert WrongModel(sentence="x", gain=10.8276, looks=20).p_value == pytest.approx(0.02, rel=1e-3)
    assert WrongModel(sentence="x", gain=-3.0).p_value == 1.0


def test_far_p_values_are_not_bounded_by_the_number_of_replicas():
    """χ² of 10 degrees of freedom: above 60 with 4e-9; within a factor 3 by the fitted law."""
    made = np.random.default_rng(1).chisquare(10, 4000)
    assert _share_above(made, 9.34) == pytest.approx(0.5, abs=0.03)
    assert 1e-9 < _share_above(made, 60.0) < 1e-8


@pytest.mark.long
def test_nothing_is_said_of_a_campaign_of_the_right_model():
    assert wrong_case("nothing", 0) == ()
