"""Largest real part of the eigenvalues of many small real matrices, compiled.

LAPACK spends most of its time per small matrix on workspaces, eigenvalue orders and complex output.
Here each matrix is reduced to Hessenberg form by eliminations and deflated by Francis's double
shifts (Golub and Van Loan, Matrix Computations, §7.4–7.5), eigenvalues only. Stands in a file of
its own, because numba's cache on disk sees no other.
"""

import numba
import numpy as np

_FUSED = {"contract", "nsz"}
"""Products and sums may be rounded once; nan and infinity keep their meaning."""

_compiled = numba.njit(error_model="numpy", fastmath=_FUSED)
_EPSILON = 2.0**-52
_SWEEPS = 40
"""Double shifts per eigenvalue after which a matrix is left to LAPACK; 2 to 4 are usual."""


@_compiled
def _reduce_to_hessenberg(a, n):  # type: ignore[no-untyped-def]  # noqa: C901
    """Similarity by eliminations with row exchange: zeros below the first subdiagonal."""
    for column in range(n - 2):
        head = column + 1
        largest = head
        for i in range(head + 1, n):
            if abs(a[i, column]) > abs(a[largest, column]):
                largest = i
        pivot = a[largest, column]
        if pivot == 0.0:
            continue
        if largest != head:
            for j in range(column, n):
                a[largest, j], a[head, j] = a[head, j], a[largest, j]
            for i in range(n):
                a[i, largest], a[i, head] = a[i, head], a[i, largest]
        for i in range(head + 1, n):
            if a[i, column] != 0.0:
                factor = a[i, column] / pivot
                a[i, column] = 0.0
                for j in range(head, n):
                    a[i, j] -= factor * a[head, j]
                for j in range(n):
                    a[j, head] += factor * a[j, i]


@_compiled
def _start_of_block(a, high, norm):  # type: ignore[no-untyped-def]
    """First row of the unreduced block that ends at `high`; clears the subdiagonal before it."""
    low = high
    while low > 0:
        size = abs(a[low, low]) + abs(a[low - 1, low - 1])
        if abs(a[low, low - 1]) <= _EPSILON * (size if size > 0.0 else norm):
            a[low, low - 1] = 0.0
            break
        low -= 1
    return low


@_compiled
def _of_pair(a, high):  # type: ignore[no-untyped-def]
    """Largest real part of the eigenvalues of the 2×2 block that ends at `high`."""
    low = high - 1
    half = 0.5 * (a[low, low] - a[high, high])
    product = a[low, high] * a[high, low]
    discriminant = half * half + product
    if discriminant <= 0.0:
        return a[high, high] + half
    root = np.sqrt(discriminant)
    if half >= 0.0:
        return a[high, high] + half + root
    return a[high, high] + product / (root - half)  # without the cancellation of half + root


@_compiled
def _double_shift(a, low, high, exceptional):  # type: ignore[no-untyped-def]  # noqa: C901
    """One Francis step on the block from `low` to `high`, at least 3×3."""
    if exceptional:
        size = abs(a[high, high - 1]) + abs(a[high - 1, high - 2])
        trace, determinant = 1.5 * size, size * size
    else:
        trace = a[high, high] + a[high - 1, high - 1]
        determinant = a[high, high] * a[high - 1, high - 1] - a[high, high - 1] * a[high - 1, high]
    head = a[low + 1, low]  # the first column of (A - λ₁)(A - λ₂), times `head`
    x = a[low, low] * (a[low, low] - trace) + determinant + a[low, low + 1] * head
    y = head * (a[low, low] + a[low + 1, low + 1] - trace)
    z = head * a[low + 2, low + 1]
    for k in range(low, high):
        if k == high - 1:
            z = 0.0
        length = np.sqrt(x * x + y * y + z * z)
        if length > 0.0:
            if x < 0.0:
                length = -length
            if k > low:
                a[k, k - 1] = -length
                a[k + 1, k - 1] = 0.0
            # reflection 1 − w uᵀ, w = (x + length, y, z), u = w/(length (x + length))
            x += length
            weight = 1.0 / (length * x)
            u_0, u_1, u_2 = weight * x, weight * y, weight * z
            if k < high - 1:
                if k > low:
                    a[k + 2, k - 1] = 0.0
                for j in range(k, high + 1):
                    part = u_0 * a[k, j] + u_1 * a[k + 1, j] + u_2 * a[k + 2, j]
                    a[k, j] -= part * x
                    a[k + 1, j] -= part * y
                    a[k + 2, j] -= part * z
                for i in range(low, min(high, k + 3) + 1):
                    part = u_0 * a[i, k] + u_1 * a[i, k + 1] + u_2 * a[i, k + 2]
                    a[i, k] -= part * x
                    a[i, k + 1] -= part * y
                    a[i, k + 2] -= part * z
            else:
                for j in range(k, high + 1):
                    part = u_0 * a[k, j] + u_1 * a[k + 1, j]
                    a[k, j] -= part * x
                    a[k + 1, j] -= part * y
                for i in range(low, high + 1):
                    part = u_0 * a[i, k] + u_1 * a[i, k + 1]
                    a[i, k] -= part * x
                    a[i, k + 1] -= part * y
        if k < high - 1:
            x, y = a[k + 1, k], a[k + 2, k]
            z = a[k + 3, k] if k < high - 2 else 0.0


@_compiled
def _largest_real_part(a, n):  # type: ignore[no-untyped-def]
    """Of a Hessenberg matrix, which is overwritten; nan if it does not converge."""
    norm = 0.0
    for i in range(n):
        for j in range(max(i - 1, 0), n):
            norm += abs(a[i, j])
    largest = -np.inf
    high = n - 1
    sweeps = 0
    while high >= 0:
        low = _start_of_block(a, high, norm)
        if low >= high - 1:
            largest = max(largest, a[high, high] if low == high else _of_pair(a, high))
            high = low - 1
            sweeps = 0
            continue
        if sweeps == _SWEEPS or not np.isfinite(norm):
            return np.nan
        sweeps += 1
        _double_shift(a, low, high, sweeps % 10 == 0)
    return largest


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=_FUSED)
def largest_real_parts(matrices, found):  # type: ignore[no-untyped-def]
    """Fill `found` (m,) for C-ordered `matrices` (m, n, n); nan where QR does not converge."""
    n = matrices.shape[1]
    work = np.empty((n, n))
    for point in range(len(matrices)):
        work[:] = matrices[point]
        _reduce_to_hessenberg(work, n)
        found[point] = _largest_real_part(work, n)
