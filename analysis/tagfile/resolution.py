"""Time units that a file gives in single precision, or nearly, as the numbers they stand for."""

import numpy as np

PICOSECOND = 1e-12

SINGLE_PRECISION = 1e-7
"""Relative error of a number that went through 32-bit floating point, rounded up."""

_DIGITS = 6
"""Decimal digits that 32-bit floating point surely keeps."""


def exact_resolution(seconds: float, *, decimal: bool = False) -> float:
    """Return the time unit that a stored number stands for.

    Time taggers have ticks and bins of whole picoseconds, which 32-bit floating point misses by
    up to 6e-8: enough to move a gate's edge by a bin. A number that close to a whole number of
    picoseconds is taken for it; so is one that is exactly the 32-bit value of a decimal of at most
    six digits.

    Parameters
    ----------
    seconds : float
        As stored, > 0.
    decimal : bool, optional
        Only the second rule: for a period that was measured, and may be any number.

    Returns
    -------
    float
        The number itself where neither rule holds.

    Examples
    --------
    >>> exact_resolution(2.4999999292951713e-10)
    2.5e-10
    """
    if not decimal and PICOSECOND / 2 < seconds <= 1e3:
        picoseconds = round(seconds / PICOSECOND)
        whole = float(f"{picoseconds}e-12")
        if abs(whole - seconds) <= SINGLE_PRECISION * seconds:
            return whole
    short = float(f"{seconds:.{_DIGITS}g}")
    with np.errstate(over="ignore", under="ignore"):
        is_single = float(np.float32(short)) == seconds
    return short if is_single else seconds
