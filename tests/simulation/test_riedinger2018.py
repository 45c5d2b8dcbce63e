"""DLCZ model under the common interface: the same numbers, by name."""

import numpy as np
import pytest

from simulation.theory import dlcz
from simulation.theory.models import get, point


def test_results_are_those_of_the_dlcz_package():
    results, p = point(get("riedinger2018")), dlcz.riedinger2018()
    g = dlcz.g2_clicks(p)
    singles = dlcz.click_probabilities(p).singles.tolist()
    assert results["p_click"] == pytest.approx(singles, rel=1e-13)  # by pairs, not by patterns
    assert results["g2"] == [g[0, 0], g[1, 0], g[0, 1], g[1, 1]]
    witness = dlcz.measurable_witness(dlcz.g2_moments(p))
    assert results["R_m_moments"] == [*witness, witness.mean()]
    assert results["R"] == dlcz.true_witness(p).tolist()
    assert results["visibility"] == dlcz.visibility(p)


def test_defaults_expect_the_published_counts():
    expected = 1.114e9 * np.array(point(get("riedinger2018"))["p_click"])
    np.testing.assert_allclose(expected, [111134, 184114, 108723, 167427], rtol=5e-3)


def test_a_phase_scan_is_one_batch():
    results = get("riedinger2018").evaluate(["g2", "R_m"], delta_phi=np.linspace(0, 6, 7))
    assert results["g2"].shape == (7, 4)
    assert results["R_m"].shape == (7, 3)


def test_no_contrast_gives_an_infinite_witness_not_nan():
    with np.errstate(divide="raise"):
        results = point(get("riedinger2018"), p_read_A=0.0, p_read_B=0.0)
    assert results["R_m_moments"] == [np.inf] * 3


def test_impossible_efficiency_is_refused_by_name():
    with pytest.raises(ValueError, match=r"`eta_1` must lie in \[0, 1\], but is 1.2"):
        point(get("riedinger2018"), eta_1=1.2)
