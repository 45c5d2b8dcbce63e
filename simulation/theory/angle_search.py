"""EPR and Reid products of two modes, minimised over both angles; compiled, point by point.

For given angles the best gains are known, and with them the gradient: it is that of the explicit
product, because the gains are stationary. Newton's method starts in the lowest basins of a grid of
angles and, where those prove nothing, on the axes of the noise. Stands in a file of its own,
because numba's cache on disk sees no other.
"""

import numba
import numpy as np

_compiled = numba.njit(error_model="numpy")
_inlined = numba.njit(error_model="numpy", forceinline=True)
_GRID = 16
_BASINS = 4
_ITERATIONS = 60
_HALVINGS = 20
_SHIFT = 1e-5
_CONVERGED = 1e-6
"""Last step of an angle in rad: the next would be about its square, the product's error less."""
_COSINE, _SINE = np.cos(_SHIFT), np.sin(_SHIFT)
_TURN = np.pi / 2 / _GRID
_COSINES, _SINES = np.cos(_TURN * np.arange(2 * _GRID)), np.sin(_TURN * np.arange(2 * _GRID))


@_inlined
def _of_cov(v):  # type: ignore[no-untyped-def]
    """Return V(x1), V(p1), V(x1, p1), the same of mode 2, ⟨x1x2⟩, ⟨x1p2⟩, ⟨p1x2⟩, ⟨p1p2⟩."""
    first, second = (v[0, 0], v[1, 1], v[0, 1]), (v[2, 2], v[3, 3], v[2, 3])
    return first, second, (v[0, 2], v[0, 3], v[1, 2], v[1, 3])


@_inlined
def _turned_mode(own, c, s):  # type: ignore[no-untyped-def]
    x, p, xp = own
    cc, ss = c * c - s * s, 2 * c * s
    mean, half = 0.5 * (x + p), 0.5 * (x - p)
    turned = half * cc + xp * ss
    return mean + turned, mean - turned, xp * cc - half * ss


@_inlined
def _turned(moments, c1, s1, c2, s2):  # type: ignore[no-untyped-def]
    """Moments after rotating both modes."""
    first, second, (xx, xp, px, pp) = moments
    x_x, x_p, p_x, p_p = c2 * xx + s2 * xp, c2 * xp - s2 * xx, c2 * px + s2 * pp, c2 * pp - s2 * px
    both = (c1 * x_x + s1 * p_x, c1 * x_p + s1 * p_p, c1 * p_x - s1 * x_x, c1 * p_p - s1 * x_p)
    return _turned_mode(first, c1, s1), _turned_mode(second, c2, s2), both


@_compiled
def _at_angles(moments, first, second):  # type: ignore[no-untyped-def]
    return _turned(moments, np.cos(first), np.sin(first), np.cos(second), np.sin(second))


@_inlined
def _inferred(x1, x2, p1, p2, xx, pp):  # type: ignore[no-untyped-def]
    """Reid's product for given angles, divided by 4."""
    return (x1 - xx * xx / x2) * (p1 - pp * pp / p2)


@_inlined
def _epr_gains(x1, x2, p1, p2, xx, pp):  # type: ignore[no-untyped-def]
    """Return λ_min of X P and its gains f, g; f g ≤ 0 if an edge is lower."""
    m11, m22 = x1 * p1 - xx * pp, x2 * p2 - xx * pp
    m12, m21 = xx * p2 - x1 * pp, xx * p1 - x2 * pp
    determinant = (x1 * x2 - xx * xx) * (p1 * p2 - pp * pp)
    smallest = 2 * determinant / (m11 + m22 + np.sqrt((m11 - m22) ** 2 + 4 * m12 * m21))
    g = 0.0 if m12 == 0.0 else (smallest - m11) / m12
    below = p1 - pp * g
    f = 0.0 if below == 0.0 else (p2 * g - pp) / below
    return smallest, f, g


@_inlined
def _edges(x1, x2, p1, p2, xx, pp):  # type: ignore[no-untyped-def]
    """Return the lowest product with f g = 0, divided by 4, and which of the four it is."""
    values = (
        x1 * (p1 - pp * pp / p2),
        p1 * (x1 - xx * xx / x2),
        x2 * (p2 - pp * pp / p1),
        p2 * (x2 - xx * xx / x1),
    )
    which = 0
    for k in range(1, 4):
        if values[k] < values[which]:
            which = k
    return values[which], which


@_inlined
def _value(moments, epr):  # type: ignore[no-untyped-def]
    """Product for given angles."""
    (x1, p1, _), (x2, p2, _), (xx, _, _, pp) = moments
    if not epr:
        return 4 * _inferred(x1, x2, p1, p2, xx, pp)
    smallest, f, g = _epr_gains(x1, x2, p1, p2, xx, pp)
    if f * g > 0:
        return 4 * smallest
    return 4 * _edges(x1, x2, p1, p2, xx, pp)[0]


@_inlined
def _weights(moments, epr):  # type: ignore[no-untyped-def]
    """Weights of x1, x2 and of p1, −p2 in the two combinations whose product is smallest."""
    (x1, p1, _), (x2, p2, _), (xx, _, _, pp) = moments
    if not epr:
        return 1.0, -xx / x2, 1.0, pp / p2
    _, f, g = _epr_gains(x1, x2, p1, p2, xx, pp)
    if f * g > 0:
        return 1.0, f, 1.0, g
    which = _edges(x1, x2, p1, p2, xx, pp)[1]
    if which == 0:
        return 1.0, 0.0, 1.0, pp / p2
    if which == 1:
        return 1.0, -xx / x2, 1.0, 0.0
    if which == 2:
        return 0.0, 1.0, pp / p1, 1.0
    return -xx / x1, 1.0, 0.0, 1.0


@_inlined
def _gradient(moments, epr):  # type: ignore[no-untyped-def]
    """Return the derivatives of the product's logarithm: the norm's weights do not turn."""
    (x1, p1, y1), (x2, p2, y2), (xx, xp, px, pp) = moments
    a, b, c, d = _weights(moments, epr)
    x = a * a * x1 + 2 * a * b * xx + b * b * x2
    p = c * c * p1 - 2 * c * d * pp + d * d * p2
    by_first = (2 * a * a * y1 + 2 * a * b * px) / x + (-2 * c * c * y1 + 2 * c * d * xp) / p
    by_second = (2 * b * b * y2 + 2 * a * b * xp) / x + (-2 * d * d * y2 + 2 * c * d * px) / p
    return by_first, by_second


@_compiled
def _step(moments, epr):  # type: ignore[no-untyped-def]
    """Newton step, curvatures made positive, none along flat directions, at most 0.3 rad."""
    g0, g1 = _gradient(moments, epr)
    up0, up1 = _gradient(_turned(moments, _COSINE, _SINE, 1.0, 0.0), epr)
    down0, down1 = _gradient(_turned(moments, _COSINE, -_SINE, 1.0, 0.0), epr)
    right0, right1 = _gradient(_turned(moments, 1.0, 0.0, _COSINE, _SINE), epr)
    left0, left1 = _gradient(_turned(moments, 1.0, 0.0, _COSINE, -_SINE), epr)
    h00, h11 = (up0 - down0) / (2 * _SHIFT), (right1 - left1) / (2 * _SHIFT)
    h01 = (up1 - down1 + right0 - left0) / (4 * _SHIFT)
    angle = 0.5 * np.arctan2(2 * h01, h00 - h11)
    c, s = np.cos(angle), np.sin(angle)
    middle, root = 0.5 * (h00 + h11), np.hypot(0.5 * (h00 - h11), h01)
    steep = abs(middle + root), abs(middle - root)
    floor = 1e-9 * max(steep)
    along, across = 0.0, 0.0
    if steep[0] > floor:
        along = -(c * g0 + s * g1) / steep[0]
    if steep[1] > floor:
        across = -(c * g1 - s * g0) / steep[1]
    length = max(abs(along), abs(across))
    if length > 0.3:
        along, across = along * 0.3 / length, across * 0.3 / length
    return c * along - s * across, s * along + c * across


@_compiled
def _descend(moments, epr):  # type: ignore[no-untyped-def]
    """Value at the end of damped Newton steps."""
    best = _value(moments, epr)
    for _ in range(_ITERATIONS):
        first, second = _step(moments, epr)
        size = 1.0
        for _ in range(_HALVINGS):
            trial = _at_angles(moments, size * first, size * second)
            value = _value(trial, epr)
            if value <= best:
                break
            size /= 4
        if not value <= best:
            break
        best, moments = value, trial
        if size * max(abs(first), abs(second)) <= _CONVERGED:
            break
    return best


@_compiled
def _fill_grid(moments, epr, values):  # type: ignore[no-untyped-def]
    """Fill products over half the sum and half the difference of the angles, the sum from ⟨ab⟩.

    A turn of one mode by π, or of both by π/2, changes nothing, so that both have period π/2.
    Return the angle at which the half sum begins.
    """
    xx, xp, px, pp = moments[2]
    half = 0.5 * np.arctan2(xp + px, xx - pp)
    c, s = np.cos(half), np.sin(half)
    start = _turned(moments, c, s, c, s)
    pair, other = 0.5 * (start[2][0] - start[2][3]), 0.5 * (start[2][0] + start[2][3])
    turn = 0.5 * (start[2][1] - start[2][2])
    for i in range(_GRID):
        # ⟨ab⟩ turns with the sum alone, ⟨a†b⟩ with the difference
        by_sum = pair * _COSINES[2 * i]
        for j in range(_GRID):
            by_difference = other * _COSINES[2 * j] - turn * _SINES[2 * j]
            first = _turned_mode(start[0], _COSINES[i + j], _SINES[i + j])
            sign = 1.0 if i >= j else -1.0
            second = _turned_mode(start[1], _COSINES[abs(i - j)], sign * _SINES[abs(i - j)])
            both = (by_difference + by_sum, 0.0, 0.0, by_difference - by_sum)
            values[i, j] = _value((first, second, both), epr)
    return half


@_compiled
def _is_basin(values, i, j):  # type: ignore[no-untyped-def]
    """Whether no neighbour on the periodic grid is lower."""
    here = values[i, j]
    for k in range(-1, 2):
        for m in range(-1, 2):
            if values[(i + k) % _GRID, (j + m) % _GRID] < here:
                return False
    return True


@_compiled
def _from_basins(moments, epr, values):  # type: ignore[no-untyped-def]
    """Lowest end of the descents from the lowest basins of the grid."""
    half = _fill_grid(moments, epr, values)
    starts, heights = np.zeros((_BASINS, 2)), np.full(_BASINS, np.inf)
    for i in range(_GRID):
        for j in range(_GRID):
            if values[i, j] < heights[-1] and _is_basin(values, i, j):
                k = _BASINS - 1
                while k > 0 and values[i, j] < heights[k - 1]:
                    heights[k], starts[k] = heights[k - 1], starts[k - 1]
                    k -= 1
                heights[k] = values[i, j]
                starts[k, 0], starts[k, 1] = i * _TURN, j * _TURN
    lowest = np.inf
    for k in range(_BASINS):
        if heights[k] < np.inf:
            first, second = half + starts[k, 0] + starts[k, 1], half + starts[k, 0] - starts[k, 1]
            lowest = min(lowest, _descend(_at_angles(moments, first, second), epr))
    return lowest


@_compiled
def _from_axes(moments, epr):  # type: ignore[no-untyped-def]
    """Lowest end of the descents from the best two of the axes of both noise ellipses.

    Along them or halfway between. Strong local squeezing makes valleys narrower than the grid.
    """
    (x1, p1, y1), (x2, p2, y2), _ = moments
    axis_1, axis_2 = 0.5 * np.arctan2(2 * y1, x1 - p1), 0.5 * np.arctan2(2 * y2, x2 - p2)
    values = np.empty(8)
    for k in range(8):
        first, second = axis_1 + k // 4 * np.pi / 4, axis_2 + k % 4 * np.pi / 4
        values[k] = _value(_at_angles(moments, first, second), epr)
    lowest = np.inf
    for k in np.argsort(values)[:2]:
        first, second = axis_1 + k // 4 * np.pi / 4, axis_2 + k % 4 * np.pi / 4
        lowest = min(lowest, _descend(_at_angles(moments, first, second), epr))
    return lowest


@numba.njit(cache=True, nogil=True, error_model="numpy")
def fill_lowest_products(covs, epr, found):  # type: ignore[no-untyped-def]
    """Fill `found` (m,) with the products of C-ordered `covs` (m, 4, 4): EPR or Reid's."""
    values = np.empty((_GRID, _GRID))
    for point in range(len(covs)):
        moments = _of_cov(covs[point])
        lowest = _from_basins(moments, epr, values)
        if lowest >= 1:  # seen only there
            lowest = min(lowest, _from_axes(moments, epr))
        found[point] = lowest
