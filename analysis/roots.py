"""Root of a scalar function between two points, without loading an optimisation library."""

import math
from collections.abc import Callable


def root_between(
    f: Callable[[float], float], low: float, high: float, *, xtol: float, rtol: float
) -> float:
    """Return a root of a continuous f that has opposite signs at `low` and `high`.

    Chandrupatla's method (Adv. Eng. Softw. 28, 145 (1997)): inverse quadratic interpolation where
    the last three points allow it, else bisection. Right to xtol + rtol |x|.

    Raises
    ------
    ValueError
        If f has the same sign, or is nan, at the ends.
    """
    a, b = high, low
    f_a, f_b = f(a), f(b)
    if f_a == 0.0:
        return a
    if not f_a * f_b <= 0.0:
        message = (
            f"`f` must change its sign between {low:g} and {high:g}, but is {f_b:g} and {f_a:g}"
        )
        raise ValueError(message)
    share = 0.5
    while True:
        x = a + share * (b - a)
        f_x = f(x)
        if math.copysign(1.0, f_x) == math.copysign(1.0, f_a):
            c, f_c = a, f_a
        else:
            c, f_c, b, f_b = b, f_b, a, f_a
        a, f_a = x, f_x
        best, f_best = (a, f_a) if abs(f_a) < abs(f_b) else (b, f_b)
        least = 0.5 * (xtol + rtol * abs(best)) / abs(b - a)
        if f_best == 0.0 or least > 0.5:
            return best
        share = min(max(_share(a, b, c, f_a, f_b, f_c), least), 1.0 - least)


def _share(a: float, b: float, c: float, f_a: float, f_b: float, f_c: float) -> float:
    """Where between a (0) and b (1) to look next."""
    if f_b == f_c:
        return 0.5
    place, height = (a - b) / (c - b), (f_a - f_b) / (f_c - f_b)
    if not (height**2 < place and (1.0 - height) ** 2 < 1.0 - place):
        return 0.5
    return f_a / (f_b - f_a) * f_c / (f_b - f_c) + (c - a) / (b - a) * f_a / (f_c - f_a) * f_b / (
        f_c - f_b
    )
