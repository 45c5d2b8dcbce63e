"""The fast published estimator of the calibration says what the exact one says."""

import numpy as np
import pytest

from analysis.witness import witness
from benchmarks.published import published
from benchmarks.red_team import boundary, turning


@pytest.mark.parametrize("trials", [30_000_000, 400_000_000, 15_000_000_000])
def test_grid_and_exact_posterior_agree(trials):
    lab, rng = turning(boundary(1.2), trials=trials), np.random.default_rng(2)
    for _ in range(3):
        counts = lab.counts(lab.theta, trials, rng=rng)
        exact, found = witness(counts).sym, published(counts)
        assert found.confidence == pytest.approx(exact.confidence(), abs=3e-4)
        width = exact.high - exact.low
        assert found.low == pytest.approx(exact.low, abs=0.01 * width)
        assert found.high == pytest.approx(exact.high, abs=0.01 * width)
