"""The report page: what it claims, and what it admits."""

import numpy as np
import pytest

from analysis.counts import Counts, Quality, exact_trials
from analysis.evaluation import evaluate
from analysis.gates import Gate, GateSet
from labkit.report import headline, write_report

GATES = GateSet(
    period=50e-6,
    detectors={1: 0, 2: 1},
    gates=(Gate(name="pump", start=0.0, stop=60e-9), Gate(name="read", start=123e-9, stop=183e-9)),
)


@pytest.fixture
def evaluated():
    """Evaluation of 1000 clicks per cell in 10 000 trials with given pump-read coincidences."""

    def make(clicks, same, crossed):
        pairs = np.zeros((4, 4), np.int64)
        pairs[:2, 2:] = [[same, crossed], [crossed, same]]
        counts = Counts(
            gates=GATES,
            trials=exact_trials(10_000, "test"),
            singles=np.full((2, 2), clicks),
            pairs=pairs + pairs.T,
            repeated=np.zeros((2, 2), np.int64),
            histogram=np.zeros((2, 3), np.int64),
            bin_edges=np.array([0.0, 60e-9, 123e-9, 183e-9]),
            gate_of_bin=np.array([0, -1, 1], np.int8),
            quality=Quality(),
        )
        return evaluate(counts)

    return make


def test_headline_is_the_verdict(evaluated):
    text = headline(evaluated(1000, 20, 900))
    assert text.startswith("conditions not met: not measured: pump_balance")
    assert "entangled" not in text
    assert "; R = 0." in text


def test_headline_claims_nothing_where_accidentals_exceed_coincidences(evaluated):
    text = headline(evaluated(1000, 0, 0))
    assert "entangled" not in text
    assert text.endswith("R = inf [0.000, inf]")


def test_page_begins_with_the_verdict_and_shows_no_confidence_of_its_own(evaluated, tmp_path):
    page = write_report(evaluated(1000, 20, 900), tmp_path).read_text(encoding="utf-8")
    assert page.index("VERDICT") < page.index("<h2>")
    assert "P(R_m" not in page


def test_report_says_why_there_is_no_witness(evaluated, tmp_path):
    page = write_report(evaluated(0, 0, 0), tmp_path).read_text(encoding="utf-8")
    assert "witness is undefined" in page
    assert "must be at least 1 for g² to be defined" in page
