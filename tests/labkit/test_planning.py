"""How long until the witness is decided."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.counts_file import WitnessCounts
from simulation.inference.planning import ClickRates, plan_witness
from simulation.theory.dlcz import riedinger2018

PAPER = ClickRates.of_model(riedinger2018())


def test_always_valid_claim_is_planned_near_the_median_of_many_runs():
    """Median of 300 runs at R = 0.68, where this model has 0.69: 0.99, 1.43 and 2.10e9 trials."""
    for confidence, median in ((0.95, 0.99e9), (0.99, 1.43e9), (0.999, 2.10e9)):
        plan = plan_witness(PAPER, confidence=confidence)
        assert median < plan.trials < 1.35 * median
        assert plan.seconds == pytest.approx(plan.trials * 50e-6 * 1.15)


def test_more_confidence_and_a_lower_bound_need_more_trials():
    base = plan_witness(PAPER, confidence=0.95).trials
    assert plan_witness(PAPER, confidence=0.99).trials > base
    assert plan_witness(PAPER, confidence=0.95, bound=0.9).trials > base


def test_state_that_witnesses_nothing_is_told():
    turned = replace(riedinger2018(), delta_phi=0.1 * np.pi + np.pi / 2)
    with pytest.raises(ValueError, match="improve the state first"):
        plan_witness(ClickRates.of_model(turned), confidence=0.95)


def test_confidence_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"`confidence` must lie between 0\.5 and 1"):
        plan_witness(PAPER, confidence=1.0)


def test_measured_counts_plan_the_same_as_the_model_they_follow():
    trials = 10**12
    counts = WitnessCounts(
        trials=trials,
        pump=tuple(round(trials * p) for p in PAPER.pump),
        read=tuple(round(trials * p) for p in PAPER.read),
        coincidences={pair: round(trials * p) for pair, p in PAPER.coincidences.items()},
    )
    measured = plan_witness(ClickRates.of_counts(counts), confidence=0.95)
    assert measured.trials == pytest.approx(plan_witness(PAPER, confidence=0.95).trials, rel=0.01)


def test_counts_without_coincidences_plan_nothing():
    none = dict.fromkeys(PAPER.coincidences, 0.0)
    with pytest.raises(ValueError, match="must have coincidences"):
        plan_witness(replace(PAPER, coincidences=none), confidence=0.95)
