"""Fits of Lorentzian lines."""

import numpy as np
import pytest

from analysis.resonance import fit_resonance


def line(x, centre=0.3, width=0.5, height=40.0, offset=2.0):
    return offset + height / (1 + (2 * (x - centre) / width) ** 2)


def test_noiseless_line_is_recovered():
    x = np.linspace(-1, 1, 15)
    fit = fit_resonance(x, line(x))
    found = [e.value for e in (fit.centre, fit.width, fit.height, fit.offset)]
    assert found == pytest.approx([0.3, 0.5, 40.0, 2.0], rel=1e-6)
    assert fit.curve(x) == pytest.approx(line(x))


def test_centre_of_a_noisy_line_is_within_4_of_its_sigma():
    rng = np.random.default_rng(2)
    x = np.linspace(-1, 1, 25)
    y = rng.poisson(line(x, height=400, offset=50))
    fit = fit_resonance(x, y, np.sqrt(np.maximum(y, 1)))
    assert abs(fit.centre.value - 0.3) < 4 * fit.centre.sigma < 0.1


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 2, 3], [1, 2, 1], "at least 5 points"),
        (range(6), [3.0] * 6, "one is constant"),
        (np.linspace(5, 8, 9), line(np.linspace(5, 8, 9)), "must lie within|no line"),
    ],
)
def test_points_without_a_line_are_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        fit_resonance(x, y)


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e9])
@pytest.mark.parametrize("stretch", [1e-9, 1e9])
def test_fit_and_its_errors_scale_with_the_units(scale, stretch):
    x = np.linspace(-1, 1, 25)
    y = line(x) + np.random.default_rng(3).normal(0, 0.5, 25)
    fit, scaled = fit_resonance(x, y), fit_resonance(stretch * x, scale * y)
    for name, unit in (("centre", stretch), ("width", stretch), ("height", scale)):
        one, other = getattr(fit, name), getattr(scaled, name)
        assert other.value == pytest.approx(one.value * unit, rel=1e-5)
        assert other.sigma == pytest.approx(one.sigma * unit, rel=1e-4)


@pytest.mark.parametrize("weighted", [True, False])
def test_noise_is_no_line(weighted):
    """None of 200 scans without a line; fits alone find a "line" in three of four."""
    rng = np.random.default_rng(4)
    x, found = np.linspace(-1, 1, 25), 0
    for _ in range(200):
        y = rng.poisson(20, 25)
        try:
            fit_resonance(x, y, np.sqrt(np.maximum(y, 1)) if weighted else None)
        except ValueError:
            continue
        found += 1
    assert found == 0


def test_what_is_refused_before_a_fit_is_refused_after_it(monkeypatch):
    """40 scans with lines from none to clear ones, of which a third is found."""
    rng = np.random.default_rng(5)
    refused = 0
    for number in range(40):
        x = np.sort(rng.uniform(-1, 1, rng.choice([7, 13, 25])))
        height, width = rng.choice([0, 20, 60]), rng.choice([0.1, 0.4, 1.0])
        y = rng.poisson(line(x, rng.uniform(-1.2, 1.2), width, height, offset=20))
        sigma = np.sqrt(np.maximum(y, 1)) if number % 2 else None
        try:
            fit_resonance(x, y, sigma)
        except ValueError:
            refused += 1
            with monkeypatch.context() as fit_only:
                fit_only.setattr("analysis.resonance._MOST_POINTS", 0)
                with pytest.raises(ValueError, match="line"):
                    fit_resonance(x, y, sigma)
    assert 20 <= refused <= 35
