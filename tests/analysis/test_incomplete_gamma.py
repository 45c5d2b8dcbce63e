import math

import numpy as np
import pytest
from mpmath import mp
from scipy import special

from analysis.incomplete_gamma import gammainc, gammaincc, gammaincinv, log_density

SHAPES = (0.5, 1.0, 2.0, 3.5, 10.0, 19.9, 20.0, 21.0, 119.0, 1e3, 1e4)
SIGMAS = (-37.0, -8.0, -3.0, -1.0, -0.1, 0.0, 0.1, 1.0, 3.0, 8.0, 37.0)


def conditioning(a):
    """Relative change of a tail eight σ out by a few ulps of x."""
    return max(1e-13, 20.0 * 2.3e-16 * math.sqrt(a))


@pytest.mark.parametrize("a", SHAPES)
def test_both_tails_agree_with_fifty_digits(a):
    x = np.array([a * 1e-6, *(a + z * math.sqrt(a) for z in SIGMAS), 30.0 * a])
    x = x[x > 0]
    with mp.workdps(50):
        below = [mp.gammainc(mp.mpf(a), 0, mp.mpf(each), regularized=True) for each in x]
        above = [mp.gammainc(mp.mpf(a), mp.mpf(each), regularized=True) for each in x]
    for ours, exact in ((gammainc(a, x), below), (gammaincc(a, x), above)):
        normal = [each > 1e-300 for each in exact]
        expected = np.array([float(each) for each in exact])
        assert np.allclose(ours[normal], expected[normal], rtol=conditioning(a), atol=0.0)


@pytest.mark.parametrize("a", [1e6, 1e8, 1e10])
def test_many_counts_agree_within_what_the_last_digit_changes(a):
    x = a + np.array([-4.0, -1.0, 0.0, 1.0, 4.0]) * math.sqrt(a)
    assert np.allclose(gammainc(a, x), special.gammainc(a, x), rtol=conditioning(a), atol=0.0)
    assert np.allclose(gammaincc(a, x), special.gammaincc(a, x), rtol=conditioning(a), atol=0.0)


def test_tails_far_out_of_many_counts_are_the_normal_ones_corrected():
    # Temme (SIAM J. Math. Anal. 10, 757): P = erfc(-η √(a/2))/2 - e^(-a η²/2)/√(2πa) (1/μ - 1/η)
    a, z = 1e8, -8.0
    x = a + z * math.sqrt(a)
    mu = x / a - 1.0
    eta = -math.sqrt(2.0 * (mu - math.log1p(mu)))
    leading = math.erfc(-eta * math.sqrt(a / 2.0)) / 2.0
    rest = math.exp(-a * eta**2 / 2.0) / math.sqrt(2.0 * math.pi * a) * (1.0 / mu - 1.0 / eta)
    assert float(gammainc(a, x)) == pytest.approx(leading - rest, rel=1e-6)


@pytest.mark.parametrize("a", [*SHAPES, 1e6])
def test_the_inverse_undoes_the_function(a):
    q = np.array([1e-12, 1e-3, 0.16, 0.5, 0.84, 0.999])
    x = gammaincinv(a, q)
    assert np.allclose(gammainc(a, x), q, rtol=10 * conditioning(a), atol=0.0)
    assert gammaincc(a, gammaincinv(a, 1.0 - 1e-12)) == pytest.approx(1e-12, rel=1e-4)


def test_the_ends_are_exact():
    assert gammainc(3.0, [0.0, np.inf]).tolist() == [0.0, 1.0]
    assert gammaincc(3.0, [0.0, np.inf]).tolist() == [1.0, 0.0]
    assert gammaincinv(3.0, [0.0, 1.0]).tolist() == [0.0, np.inf]
    assert np.isnan(gammainc(3.0, np.nan))
    assert gammaincinv(1.0, 1e-300) == pytest.approx(1e-300)


def test_whole_shapes_are_tails_of_poisson_counts():
    mean, counts = 7.3, np.arange(12)
    expected = np.exp(-mean) * np.cumsum(mean**counts / special.factorial(counts))
    found = [float(gammaincc(n + 1.0, mean)) for n in counts]
    assert found == pytest.approx(expected, rel=1e-13)


def test_the_density_is_the_slope_of_the_function():
    for a in (1.0, 2.5, 40.0):
        x = np.array([0.3, 1.0, 1.7]) * a
        slope = (gammainc(a, x * (1 + 1e-6)) - gammainc(a, x * (1 - 1e-6))) / (2e-6 * x)
        assert np.allclose(np.exp(log_density(a, x)), slope, rtol=1e-6)


@pytest.mark.parametrize("q", [-0.1, 1.1, np.nan])
def test_what_is_no_probability_is_refused(q):
    with pytest.raises(ValueError, match="`q` must lie between 0 and 1"):
        gammaincinv(3.0, q)
