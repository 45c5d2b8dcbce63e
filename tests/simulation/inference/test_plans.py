"""Trials to the claim and to k σ: reference tables, chance, and the best settings."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from analysis.witness import witness
from simulation.inference.goals import goals_at
from simulation.inference.operation import Knobs, Operation
from simulation.inference.optimum import best_settings, expected_trials, trade_offs
from simulation.inference.planning import (
    ClickRates,
    claim_spread,
    claim_trials,
    sigma_spread,
    sigma_trials,
)
from simulation.inference.scan import scan_settings
from simulation.theory.dlcz import pair_clicks, riedinger2018
from simulation.theory.models import point

PAPER = Operation.of_model(riedinger2018())
DULL = PAPER.changed(contrast=0.94)
REFERENCE = [
    (PAPER, Knobs(), 1.138e9, 3.47e9),
    (PAPER, Knobs(theta=0.0), 6.16e8, 1.70e9),
    (PAPER, Knobs(theta=0.0, e_pump=0.7, e_read=0.8), 6.52e8, 1.59e9),
    (PAPER, Knobs(theta=0.0, delay=80e-9), 4.38e8, 1.11e9),
    (PAPER, Knobs(theta=0.0, delay=60e-9, e_pump=1.33, e_read=0.87), 3.17e8, 8.75e8),
    (DULL, Knobs(theta=0.0), 1.42e9, 4.17e9),
    (DULL, Knobs(theta=0.0, e_pump=0.7, e_read=0.8), 1.18e9, 3.25e9),
    (DULL, Knobs(theta=0.0, delay=80e-9, e_read=0.8), 8.2e8, 2.26e9),
]
"""Trials to 3 σ with expected counts rounded, and to 99 % by `product_of_heralds`."""


def rates_of(operation, knobs=None):
    model = operation.at(knobs or Knobs())
    return ClickRates.of_clicks(pair_clicks(model.parameters))[0]


@pytest.mark.parametrize(
    ("operation", "knobs", "reference", "_"),
    [
        pytest.param(*row, marks=() if n in (0, 4) else pytest.mark.long)
        for n, row in enumerate(REFERENCE)
    ],
)
def test_three_sigma_of_the_reference_is_that_of_rounded_counts(operation, knobs, reference, _):
    """Whole counts at the reference's trials give 3 σ; ours, not rounded, lie within 4 %.

    But for the fifth, where so few coincidences are expected that rounding decides a tenth.
    """
    rates = rates_of(operation, knobs)
    whole = witness(
        {pair: round(reference * p) for pair, p in rates.coincidences.items()},
        *([round(reference * p) for p in both] for both in (rates.pump, rates.read)),
        trials=round(reference),
    )
    assert special.ndtri(whole.sym.confidence()) == pytest.approx(3.0, abs=0.05)
    few = knobs.delay == 60e-9
    assert sigma_trials(rates, 3.0) == pytest.approx(reference, rel=0.11 if few else 0.04)


def product_of_heralds(rates, trials):
    """log E of the reference: mixture over g ~ Gamma(4, mean as predicted), over sup of R_m ≥ 1."""
    total = 0.0
    for j in (1, 2):
        cells = [
            (trials * rates.coincidences[f"r{i}p{j}"],
             trials * rates.read[i - 1] * rates.pump[j - 1])
            for i in (1, 2)
        ]  # fmt: skip
        mixed = 0.0
        for count, exposure in cells:
            rate = 4.0 / (count / exposure)
            mixed += 4 * math.log(rate) - math.lgamma(4) + math.lgamma(count + 4)
            mixed -= (count + 4) * math.log(exposure + rate)
        low = np.linspace(0.3, 12.0, 20_001)
        edges = low + 2 * (1 + np.sqrt(2 * low))  # R_m = 1
        best = max(
            (counts[0] * np.log(a) - counts[1] * a + other[0] * np.log(b) - other[1] * b).max()
            for counts, other in (cells, cells[::-1])
            for a, b in ((low, edges),)
        )
        total += mixed - best
    return total


@pytest.mark.parametrize(("operation", "knobs", "_", "reference"), REFERENCE)
def test_anytime_column_of_the_reference_and_what_the_verdict_needs(operation, knobs, _, reference):
    """The reference's process reaches 100 within 3 % of its trials.

    The verdict bets on the tangent for the mean over heralds instead of a supremum for each: it
    needs 0.5 to 0.65 of the trials, and orders the settings alike.
    """
    rates = rates_of(operation, knobs)
    short, long = (product_of_heralds(rates, f * reference) for f in (0.97, 1.03))
    assert short < math.log(100) < long
    assert 0.48 < claim_trials(rates) / reference < 0.66


def test_plans_follow_a_setting_without_jitter():
    thetas = np.linspace(0.0, 0.3, 40)
    trials = [expected_trials(PAPER, Knobs(theta=t)) for t in thetas]
    assert np.all(np.diff(trials) > 0)
    sigmas = [sigma_trials(rates_of(PAPER, Knobs(theta=t)), 3.0) for t in thetas[:3]]
    assert np.all(np.diff(sigmas) > 0)


def test_half_of_all_measurements_need_less_than_expected_counts_do():
    """Median of 300 runs at R = 0.68 is 1.43e9 at 99 %, 0.99e9 at 95 %; here R is 0.69."""
    rates = rates_of(PAPER)
    spread = claim_spread([rates], runs=600, seed=1)
    assert spread.median == pytest.approx(1.5e9, rel=0.1)
    assert spread.median < claim_trials(rates)
    assert spread.low < 0.5 * spread.median
    assert 1.5 * spread.median < spread.high < 3 * spread.median
    assert claim_spread([rates], runs=600, seed=1) == spread


def test_ignorance_widens_the_spread():
    rates = [rates_of(PAPER, Knobs(theta=t)) for t in np.linspace(0.0, 0.4 * np.pi, 12) if t < 1.2]
    wide, point_ = claim_spread(rates, runs=600), claim_spread([rates_of(PAPER)], runs=600)
    assert wide.high > point_.high
    assert wide.to_dict()["high"] is None or wide.high > 2 * point_.high


@pytest.mark.long
def test_spread_of_three_sigma_is_that_of_simulated_counts():
    """50 measurements each with the trials by which half and nine tenths should have 3 σ: 4 σ."""
    rates = rates_of(PAPER, Knobs(theta=0.0))
    spread = sigma_spread([rates], 3.0)
    rng = np.random.default_rng(7)
    for trials, share in ((spread.median, 0.5), (spread.high, 0.9)):
        done = 0
        for _ in range(50):
            drawn = {pair: int(rng.poisson(trials * p)) for pair, p in rates.coincidences.items()}
            singles = [[round(trials * p) for p in both] for both in (rates.pump, rates.read)]
            found = witness(drawn, *singles, trials=round(trials))
            done += found.sym.confidence() >= special.ndtr(3.0)
        assert abs(done - 50 * share) < 4 * math.sqrt(50 * share * (1 - share))


def test_state_that_witnesses_nothing_is_never_decided():
    rates = rates_of(PAPER, Knobs(theta=0.5 * np.pi))
    assert claim_trials(rates) == math.inf
    assert sigma_trials(rates, 3.0) == math.inf
    assert claim_spread([rates], runs=10).to_dict() == {"low": None, "median": None, "high": None}


def test_best_settings_beat_their_neighbours_and_the_paper():
    found = best_settings(PAPER)
    assert found.gain > 3.3
    assert found.at_border == ("delay",)
    assert found.knobs.theta == 0.0
    for name in ("e_pump", "e_read"):
        for factor in (0.9, 1.1):
            beside = replace(found.knobs, **{name: factor * getattr(found.knobs, name)})
            assert expected_trials(PAPER, beside) > found.trials
    delayed = replace(found.knobs, delay=80e-9)
    assert expected_trials(PAPER, delayed) > found.trials


def test_narrower_filters_and_a_shorter_period_help_within_their_limits():
    filters = best_settings(PAPER, ("theta", "filter_hz"))
    assert 25e6 < filters.knobs.filter_hz < 45e6
    assert filters.at_border == ()
    period = best_settings(PAPER, ("theta", "period"))
    assert 20e-6 < period.knobs.period < 45e-6


def test_search_that_finds_no_claim_says_so():
    hot = PAPER.changed(n_0_A=2.0, n_0_B=2.0)
    with pytest.raises(ValueError, match="no settings within the pulses' limits"):
        best_settings(hot)
    with pytest.raises(ValueError, match="`over` must name some of theta"):
        best_settings(PAPER, ("colour",))


def test_goals_are_those_of_the_protocols():
    goals = goals_at(PAPER, Knobs(theta=0.0))
    bell = point("bell2018", **{
        name: float(getattr(PAPER.at(Knobs(theta=0.0)).parameters, name))
        for name in PAPER.at().parameters.quantities()
    })  # fmt: skip
    assert goals.S.median == pytest.approx(bell["S"], rel=1e-9)
    assert goals.S.median > 2
    assert 0.5 < goals.fidelity.median < 1
    cold = goals_at(PAPER.changed(n_0_A=0.0, n_0_B=0.0, n_read_A=0.0, n_read_B=0.0), Knobs())
    assert cold.fidelity.median > goals.fidelity.median
    assert cold.S.median > goals.S.median


def test_a_scan_holds_the_trials_of_each_point():
    axes = {"delay": [100e-9, 400e-9], "period": [20e-6, 50e-6, 80e-6]}
    seen = []
    found = scan_settings(PAPER, axes, progress=lambda *what: seen.append(what))
    assert seen[-1] == (6, 6)
    for j, delay in enumerate(axes["delay"]):
        for k, period in enumerate(axes["period"]):
            knobs = Knobs(delay=delay, period=period, theta=0.0)
            assert found.trials[j, k] == expected_trials(PAPER, knobs)
            assert found.seconds[j, k] == found.trials[j, k] * period
            assert found.R_m[j, k] == np.median(PAPER.at(knobs).witness)
    assert found.best.seconds == found.seconds.min()
    here = scan_settings(PAPER, {"e_pump": [1.0]})
    assert here.trials[0] == expected_trials(PAPER, Knobs())
    assert str(here).startswith("soonest at e_pump = 1: ")


@pytest.mark.parametrize("axes", [{}, {"delay": []}, {"delay": 1e-7}, {"colour": [1.0]}])
def test_a_scan_needs_knobs_and_values(axes):
    with pytest.raises(ValueError, match="`axes` must name"):
        scan_settings(PAPER, axes)


def test_trade_offs_have_a_panel_for_every_knob():
    figure = trade_offs(PAPER, points=5)
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert len(labels) == 6
    phase = figure.axes[0].lines[0].get_ydata()
    assert np.nanargmin(phase) == 2


def test_bright_lab_is_planned_in_proportion():
    """Twenty times the collection, darks too: 400 times the coincidences, less what saturates."""
    p = riedinger2018()
    light = ("eta_A", "eta_B", "leak_pump_1", "leak_pump_2", "leak_read_1", "leak_read_2",
             "dark_1", "dark_2")  # fmt: skip
    bright = replace(p, **{name: 20 * getattr(p, name) for name in light})
    usual, more = (ClickRates.of_model(one) for one in (p, bright))
    assert claim_trials(usual) / claim_trials(more) == pytest.approx(400, rel=0.06)
    medians = [claim_spread([one], runs=300, seed=2).median for one in (usual, more)]
    assert medians[0] / medians[1] == pytest.approx(400, rel=0.15)
