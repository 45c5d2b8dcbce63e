"""What each source of noise costs, for a point and over draws of a posterior."""

import json
from dataclasses import replace

import numpy as np
import pytest

from simulation.inference.budget import DrawInterval, NoiseBudget, noise_budget
from simulation.inference.operation import Knobs, Operation
from simulation.theory.dlcz import riedinger2018
from simulation.theory.dlcz.sources import SOURCES

BUDGET = noise_budget(riedinger2018())


def test_costs_are_differences_of_what_is_and_what_would_be():
    assert BUDGET.R_m.median == pytest.approx(0.691978, abs=1e-5)
    for row in BUDGET.rows:
        assert row.cost.median == pytest.approx(BUDGET.R_m.median - row.R_m.median, abs=1e-12)
    dearest = max(BUDGET.rows, key=lambda row: row.cost.median)
    assert dearest.source == "leaks"
    assert dearest.trials.median < BUDGET.trials.median / 3


def test_costs_and_interaction_add_up_to_all_sources_switched_off():
    costs = sum(row.cost.median for row in BUDGET.rows)
    assert costs + BUDGET.interaction.median == pytest.approx(BUDGET.total.median, abs=1e-12)
    assert BUDGET.interaction.median < -0.1, "sources do not add"
    steps = [BUDGET.R_m.median, *(row.left.median for row in BUDGET.rows)]
    assert BUDGET.rows[-1].left.median == pytest.approx(
        BUDGET.R_m.median - BUDGET.total.median, abs=1e-12
    )
    assert steps[-1] < 1e-4


def test_source_whose_loss_ends_the_claim_says_never():
    hot = replace(riedinger2018(), n_heat_A=0.2, n_heat_B=0.2)
    budget = noise_budget(hot)
    assert budget.trials.text() == "never"
    plain = budget.to_dict()
    assert plain["now"]["trials"]["median"] is None
    json.dumps(plain, allow_nan=False)


def test_budget_over_draws_has_intervals_that_hold_the_points():
    rng = np.random.default_rng(3)
    operation = Operation.of_model(riedinger2018())
    n_0 = 0.039 * np.exp(0.2 * rng.standard_normal(41))
    leak = 2.94e-5 * np.exp(0.1 * rng.standard_normal(41))
    budget = noise_budget(operation.changed(n_0_A=n_0, leak_read_1=leak))
    assert budget.draws == 41
    rows = {row.source: row for row in budget.rows}
    points = {row.source: row for row in BUDGET.rows}
    for name in ("initial_phonons", "leaks"):
        cost = rows[name].cost
        assert cost.low < points[name].cost.median < cost.high
    assert budget.R_m.low < BUDGET.R_m.median < budget.R_m.high


def test_few_draws_without_interference_do_not_forbid_the_budget_of_the_others():
    contrast = np.full(40, 0.95)
    contrast[:4] = 0.0
    operation = Operation.of_model(riedinger2018())
    budget = noise_budget(operation.changed(contrast=contrast))
    assert budget.R_m.median == pytest.approx(
        noise_budget(replace(riedinger2018(), contrast=0.95)).R_m.median, abs=1e-9
    )
    contrast[:8] = 0.0
    with pytest.raises(ValueError, match="84 % of the draws"):
        noise_budget(operation.changed(contrast=contrast))


def test_a_plain_budget_is_read_back():
    hot = noise_budget(replace(riedinger2018(), n_heat_A=0.2, n_heat_B=0.2))
    for budget in (BUDGET, hot):
        assert NoiseBudget.from_dict(json.loads(json.dumps(budget.to_dict()))) == budget


def test_budget_at_other_knobs():
    best = noise_budget(riedinger2018(), knobs=Knobs(theta=0.0))
    rows = {row.source: row for row in best.rows}
    assert best.R_m.median == pytest.approx(0.625648, abs=1e-5)
    assert rows["phase_offset"].cost.median == pytest.approx(0.0, abs=1e-9)


def test_sentences_tell_the_dearest_first_and_figure_shows_every_source():
    said = BUDGET.sentences()
    assert said[0].startswith("without leaked drive light R_m would be 0.466, the claim would take")
    axes = BUDGET.figure()
    assert len(axes.get_yticklabels()) == len(SOURCES) + 1
    assert axes.patches[0].get_width() == pytest.approx(0.691978, abs=1e-5)
    assert sum(bar.get_width() for bar in axes.patches[1:]) == pytest.approx(BUDGET.total.median)


def test_interval_of_values_with_a_never_is_no_nan():
    found = DrawInterval.of([1.0, 2.0, np.inf])
    assert (found.low, found.median, found.high) == (1.0, 2.0, np.inf)
    assert found.text(".0f") == "2 [1, ∞]"


def test_budget_where_nothing_interferes_is_refused():
    with pytest.raises(ValueError, match="ask at another phase"):
        noise_budget(Operation.of_model(replace(riedinger2018(), contrast=0.0)).at())
