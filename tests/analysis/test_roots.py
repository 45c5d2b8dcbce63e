"""Roots between two points: known roots, flat and steep functions, ends of one sign."""

import math

import pytest

from analysis.roots import root_between

CASES = {
    "line": (lambda x: 3 * x - 1, 0.0, 1.0, 1 / 3),
    "cosine": (lambda x: math.cos(x) - x, 0.0, 1.0, 0.7390851332151607),
    "flat": (lambda x: (x - 0.2) ** 9, -1.0, 4.0, 0.2),
    "step": (lambda x: 1.0 if x > 0.3 else -1.0, 0.0, 1.0, 0.3),
    "steep": (lambda x: math.exp(-50 * x) - 1e-10, 0.0, 10.0, 10 * math.log(10) / 50),
    "falling": (lambda x: 2 - x**3, 0.0, 5.0, 2 ** (1 / 3)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_root_is_found_within_the_tolerance_in_few_calls(name):
    f, low, high, root = CASES[name]
    calls = []

    def counted(x):
        calls.append(x)
        return f(x)

    assert root_between(counted, low, high, xtol=1e-12, rtol=1e-10) == pytest.approx(
        root, abs=1e-3 if name == "flat" else 2e-10
    )
    assert root_between(f, high, low, xtol=1e-12, rtol=1e-10) == pytest.approx(
        root, abs=1e-3 if name == "flat" else 2e-10
    )
    assert all(low <= x <= high for x in calls)
    assert len(calls) <= (12 if name in ("line", "cosine", "falling") else 100)


def test_a_root_at_an_end_is_returned_and_a_missing_one_refused():
    assert root_between(lambda x: x, 0.0, 1.0, xtol=1e-12, rtol=1e-9) == 0.0
    assert root_between(lambda x: x - 1, 0.0, 1.0, xtol=1e-12, rtol=1e-9) == 1.0
    with pytest.raises(ValueError, match="`f` must change its sign between 1 and 2"):
        root_between(lambda x: x, 1.0, 2.0, xtol=1e-12, rtol=1e-9)
