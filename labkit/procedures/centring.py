"""Bring all filters back to their lines at once, from eight settings a little beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot, sqrt, tanh

import numpy as np
from numpy.typing import NDArray

from analysis.gates import GateSet
from labkit.procedures.filters import passing, scan_filters, seen_apart
from labkit.procedures.session import Session
from labkit.run.parts import Part
from labkit.sequence import PulseSequence

TRIALS = 500_000
"""Per setting."""

ASIDE = 0.25
"""How far a filter is moved to either side, in widths of its line."""

FARTHEST = 0.4
"""Widths from its line within which a filter is centred; beyond 0.8 it would look nearer."""

STRONGEST = 0.8
"""Interaction of two filters in series beyond which it is not believed."""

FEWEST_CLICKS = 20
"""Per setting; with fewer the line has been lost."""

_TWO = np.array([[1, 1], [1, -1]])
SIGNS: NDArray[np.int64] = np.kron(np.kron(_TWO, _TWO), _TWO)[:, [1, 2, 4, 7, 3, 5, 6]]
"""Where the filters are in each setting; all columns are balanced and orthogonal."""


class LostLineError(RuntimeError):
    """A filter is too far from its line for this; scan it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """How far a filter's line is from where it stands, V."""

    value: float
    sigma: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """What came at each setting."""

    parts: Sequence[Part]
    gates: GateSet


def centre(session: Session, sequence: PulseSequence, trials: int = TRIALS) -> dict[str, Offset]:
    """Move every filter to the middle of its line, whose width is known from a scan.

    All filters are moved to either side, in a factorial design: transmissions multiply, so that
    the logarithms of the clicks tell every filter's part from the others'. Of light that is not
    narrow against the filters, what passes the first of two in series is drawn towards it, and
    with it the middle that the other one sees: their interaction tells by how much.

    Returns
    -------
    dict of str to Offset
        By how far each was moved.

    Raises
    ------
    LostLineError
        If a filter is too far from its line, or was never scanned; all are where they were.
    """
    devices, widths = session.lab.filters, session.line_widths
    columns = _columns(list(devices), sequence.gates.names)
    if unknown := [place for place in columns if place not in widths]:
        message = f"filter {unknown[0]} must be scanned before it can be centred"
        raise LostLineError(message)
    before = {place: float(devices[place].voltage()) for place in columns}
    volts = [
        {p: before[p] + ASIDE * widths[p] * int(signs[columns[p]]) for p in columns}
        for signs in SIGNS
    ]
    parts = scan_filters(session, sequence, trials, volts, "filters")
    taken = _Taken(parts=parts, gates=sequence.gates)
    try:
        found = {p: _offset(p, taken, SIGNS[:, columns[p]], widths[p]) for p in columns}
        found |= _in_series(found, taken, columns)
    except LostLineError:
        _move(session, before)
        raise
    _move(session, {place: before[place] + found[place].value for place in columns})
    moved = ", ".join(f"{place} {1e3 * by.value:+.1f}" for place, by in found.items())
    session.say(f"filters moved by {moved} mV")
    session.tuned()
    return found


def _in_series(
    seen: Mapping[str, Offset], taken: _Taken, columns: Mapping[str, int]
) -> dict[str, Offset]:
    """Return the offsets of two filters before a detector, from those that each one seems to have.

    With ln N = −α (d_a² + d_b² − 2 k d_a d_b) each seems to be off by d_a − k d_b, and the
    interaction of excursions by a quarter of the width is k.
    """
    found: dict[str, Offset] = {}
    for first, column in columns.items():
        pair = [place for place in columns if place[0] == first[0] and place[0].isdigit()]
        if len(pair) != 2 or first != pair[0]:
            continue
        second = pair[1]
        both = SIGNS[:, column] * SIGNS[:, columns[second]]
        k = min(max(_effect(first, taken, both)[0], 0.0), STRONGEST)
        a, b = seen[first], seen[second]
        for place, mine, other in ((first, a, b), (second, b, a)):
            found[place] = Offset(
                value=(mine.value + k * other.value) / (1.0 - k**2),
                sigma=hypot(mine.sigma, k * other.sigma) / (1.0 - k**2),
            )
    return found


def _effect(place: str, taken: _Taken, signs: NDArray[np.int64]) -> tuple[float, float]:
    """Return the mean of ln(clicks) where signs are + less that where they are −, and its σ."""
    clicks = np.array([passing(part.singles, place, taken.gates) for part in taken.parts], float)
    if clicks.min() < FEWEST_CLICKS:
        message = f"filter {place} must pass {FEWEST_CLICKS} clicks, but does {clicks.min():.0f}"
        raise LostLineError(message)
    trials = np.array([part.trials for part in taken.parts], float)
    half = len(trials) / 2.0
    effect = float(np.log((clicks + 0.5) / trials) @ signs) / half
    return effect, sqrt(float(np.sum(1.0 / clicks))) / half


def _columns(places: Sequence[str], gates: Sequence[str]) -> dict[str, int]:
    """Give every filter a column of `SIGNS`; those before different detectors share one."""
    groups = seen_apart(places, gates)
    if len(groups) > SIGNS.shape[1]:
        message = (
            f"at most {SIGNS.shape[1]} filters behind lasers and before one detector can be "
            f"centred together, but there are {len(groups)}; scan them"
        )
        raise LostLineError(message)
    return {place: column for column, group in enumerate(groups) for place in group}


def _move(session: Session, volts: Mapping[str, float]) -> None:
    for place, volt in volts.items():
        session.lab.filters[place].voltage(volt)


def _offset(place: str, taken: _Taken, signs: NDArray[np.int64], width: float) -> Offset:
    """Return the line's distance from where a filter stood, from the clicks on either side.

    For a Lorentzian of width w, half the logarithm of the ratio of both sides' clicks is artanh of
    t = 2uv/(1 + u² + v²), with u and v the excursion and the distance in units of w/2.
    """
    effect, sigma = _effect(place, taken, signs)
    u, t = 2.0 * ASIDE, tanh(effect / 2.0)
    room = u**2 - t**2 * (1.0 + u**2)
    root = sqrt(max(room, 0.0))
    v = t * (1.0 + u**2) / (u + root)
    if room <= 0.0 or abs(v) > 2.0 * FARTHEST:
        message = (
            f"filter {place} must be within {FARTHEST:g} widths of its line, but seems "
            f"{0.5 * abs(v):.2f} away"
        )
        raise LostLineError(message)
    slope = (1.0 + u**2) / (u + root) * (1.0 + t * v / root)
    return Offset(value=0.5 * width * v, sigma=0.5 * width * slope * (1.0 - t**2) / 2.0 * sigma)
