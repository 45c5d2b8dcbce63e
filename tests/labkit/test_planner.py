"""How long until the witness is decided."""

from dataclasses import replace

import numpy as np
import pytest

from labkit.planner import plan_witness
from simulation.theory.dlcz import riedinger2018


def test_papers_confidence_needs_about_the_papers_trials():
    """98.4 % took 1.114e9 trials with R_m = 0.74; the preset's expected R_m of 0.69 needs less."""
    plan = plan_witness(riedinger2018(), confidence=0.984)
    assert 2e8 < plan.trials < 1.2e9
    assert plan.seconds == pytest.approx(plan.trials * 50e-6 * 1.15)


def test_more_confidence_and_a_lower_bound_need_more_trials():
    base = plan_witness(riedinger2018(), confidence=0.95).trials
    assert plan_witness(riedinger2018(), confidence=0.99).trials > base
    assert plan_witness(riedinger2018(), confidence=0.95, bound=0.9).trials > base


def test_state_that_witnesses_nothing_is_told():
    turned = replace(riedinger2018(), delta_phi=0.1 * np.pi + np.pi / 2)
    with pytest.raises(ValueError, match="improve the state first"):
        plan_witness(turned, confidence=0.95)


def test_confidence_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"`confidence` must lie between 0\.5 and 1"):
        plan_witness(riedinger2018(), confidence=1.0)
