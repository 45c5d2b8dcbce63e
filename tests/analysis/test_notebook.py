"""Results show themselves in a notebook in words that a page can hold."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.counts import Counts, Quality, exact_trials
from analysis.evaluation import evaluate
from analysis.first_look import FirstLook
from analysis.gates import Gate, GateSet
from analysis.plots import first_arrivals, first_rates


@pytest.fixture
def counts() -> Counts:
    pairs = np.array([[0, 0, 60, 600], [0, 0, 600, 60], [60, 600, 0, 9], [600, 60, 9, 0]])
    gates = GateSet(
        gates=(
            Gate(name="pump", start=0.0, stop=1e-8),
            Gate(name="read", start=2e-8, stop=3e-8),
        ),
        period=5e-5,
        detectors={1: 0, 2: 1},
    )
    return Counts(
        gates=gates, trials=exact_trials(5 * 10**9, "a <test>"),
        singles=np.array([[500_000, 500_000], [500_000, 500_000]]), pairs=pairs,
        repeated=np.zeros((2, 2), np.int64), histogram=np.zeros((2, 1), np.int64),
        bin_edges=np.array([0.0, 1.0]), gate_of_bin=np.array([-1], np.int8), quality=Quality(),
    )  # fmt: skip


def test_counts_evaluation_and_verdict_show_words_and_escape_them(counts: Counts) -> None:
    found = evaluate(counts)
    assert found.verdict is not None
    assert repr(counts) == "<Counts: 5,000,000,000 trials, gates pump, read, detectors 1, 2>"
    assert repr(found.verdict) == f"<Verdict: {found.verdict.sentence}>"
    assert found.verdict.sentence in repr(found)
    assert found.verdict.sentence in str(found)
    for one in (counts, found):
        assert "a &lt;test&gt;" in one._repr_html_()
    shown = found.verdict._repr_html_()
    assert found._repr_html_().endswith(shown)
    for name, condition in found.verdict.conditions.items():
        assert f">{name}</th>" in shown
        assert condition.source in shown
    assert "not measured" in shown


def test_an_evaluation_without_a_verdict_shows_too(counts: Counts) -> None:
    found = replace(evaluate(counts), verdict=None, witness=None)
    assert "no verdict" in repr(found)
    assert "r1p2" in found._repr_html_()


def test_a_first_look_is_drawn_into_any_axes_or_axes_of_its_own() -> None:
    from matplotlib.figure import Figure

    seen = FirstLook.__new__(FirstLook)
    for name, value in {
        "edges": np.array([0.0, 1e-9, 2e-9]), "arrivals": {0: np.array([3, 1])}, "pulses": (),
        "rate_edges": np.array([0.0, 1.0]), "rates": {0: np.array([4.0])},
    }.items():  # fmt: skip
        object.__setattr__(seen, name, value)
    axes = Figure().add_subplot()
    assert first_arrivals(seen, axes) is axes
    assert first_arrivals(seen).get_ylabel() == "clicks / bin"
    assert first_rates(seen).get_ylabel() == "clicks (1/s)"
