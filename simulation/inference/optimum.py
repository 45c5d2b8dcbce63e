"""The settings that decide the witness soonest, by the model."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import optimize

from analysis.palette import COLORS, FAINT
from simulation.inference.operation import LIMITS, USUAL, Knobs, Operation
from simulation.inference.planning import ClickRates, claim_trials
from simulation.theory.dlcz import pair_clicks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Mapped = Callable[[Callable[[Knobs], float], Iterable[Knobs]], Iterator[float]]
"""What applies a function to settings and yields the results in order."""

SEARCHED: Final[Mapping[str, tuple[float, float]]] = {
    "delay": (LIMITS["delay"][0], 1e-6),
    "e_pump": (0.2, 3.0),
    "e_read": (0.2, 3.0),
    "period": (15e-6, 100e-6),
    "filter_hz": (20e6, 100e6),
}
"""Between which values a knob is searched; on a logarithmic scale."""

FIRST: Final = ("theta", "delay", "e_pump", "e_read")
"""Knobs that need no other hardware."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestSettings:
    """The best settings.

    Attributes
    ----------
    knobs : Knobs
    trials, seconds : float
        Expected to the always-valid claim there, without overhead; geometric mean over draws.
    gain : float
        How many times sooner than as it is, in time; inf if it is never reached as it is.
    R_m : float
        Expected there by the model.
    at_border : tuple of str
        Knobs at an end of what was searched.
    """

    knobs: Knobs
    trials: float
    seconds: float
    gain: float
    R_m: float
    at_border: tuple[str, ...]


def expected_trials(
    operation: Operation, knobs: Knobs, *, confidence: float = 0.99, bound: float = 1.0
) -> float:
    """Return the expected trials to the claim: over draws their geometric mean, inf if any is."""
    model = operation.at(knobs)
    rates = ClickRates.of_clicks(pair_clicks(model.parameters), model.pump_scale)
    trials = np.array([claim_trials(one, confidence=confidence, bound=bound) for one in rates])
    return float(np.exp(np.log(trials).mean()))


def best_settings(
    operation: Operation,
    over: Collection[str] = FIRST,
    *,
    start: Knobs = USUAL,
    confidence: float = 0.99,
    bound: float = 1.0,
) -> BestSettings:
    """Find the knobs that bring the always-valid claim soonest, in time.

    The phase is set to θ = 0 if it is among them. The others are searched by Nelder–Mead on a
    logarithmic scale; a state that witnesses nothing counts as very long.

    Parameters
    ----------
    operation : Operation
        A point, or some draws: then the geometric mean over them is the shortest.
    over : collection of str
        Of ``theta``, ``delay``, ``e_pump``, ``e_read``, ``period``, ``filter_hz``.
    start : Knobs
        The others stay there.
    confidence, bound : float
        Of the claim.

    Raises
    ------
    ValueError
        If a knob is unknown, or none of the settings tried leads to a claim.
    """
    known = ("theta", *SEARCHED)
    if unknown := [name for name in over if name not in known]:
        message = f"`over` must name some of {', '.join(known)}, but names {', '.join(unknown)}"
        raise ValueError(message)
    begin = replace(start, theta=0.0) if "theta" in over else start
    names = [name for name in SEARCHED if name in over]
    low, high = (np.log([SEARCHED[name][end] for name in names]) for end in (0, 1))
    delay = operation.reference.delay if begin.delay is None else begin.delay
    first = [math.log(delay if n == "delay" else getattr(begin, n)) for n in names]

    def knobs_at(x: np.ndarray) -> Knobs:
        found = np.exp(np.clip(x, low, high))
        return replace(begin, **dict(zip(names, map(float, found), strict=True)))

    def log_time(x: np.ndarray) -> float:
        knobs = knobs_at(x)
        trials = expected_trials(operation, knobs, confidence=confidence, bound=bound)
        return math.log(trials * knobs.period) if math.isfinite(trials) else 60.0

    x = np.array(first)
    if names:
        simplex = np.vstack([x, x + np.diag(np.where(x - 0.25 > low, -0.25, 0.25))])
        found = optimize.minimize(
            log_time, x, method="Nelder-Mead", bounds=list(zip(low, high, strict=True)),
            options={"initial_simplex": simplex, "xatol": 0.01, "fatol": 1e-4, "maxfev": 400},
        )  # fmt: skip
        x = np.clip(found.x, low, high)
    border = _borders(names, x, low, high)
    claim = partial(expected_trials, operation, confidence=confidence, bound=bound)
    return _told(operation, knobs_at(x), start, claim, border)


def _borders(names: list[str], x: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[str, ...]:
    near = (x - low < 0.02) | (high - x < 0.02)
    return tuple(name for name, at_end in zip(names, near, strict=True) if at_end)


def _told(
    operation: Operation,
    knobs: Knobs,
    start: Knobs,
    claim: Callable[[Knobs], float],
    border: tuple[str, ...],
) -> BestSettings:
    trials = claim(knobs)
    if not math.isfinite(trials):
        message = (
            "no settings within the pulses' limits lead to a claim by this model; `labkit budget` "
            "tells which source of noise must go first"
        )
        raise ValueError(message)
    before = claim(start) * start.period
    return BestSettings(
        knobs=knobs, trials=trials, seconds=trials * knobs.period,
        gain=before / (trials * knobs.period), R_m=float(np.median(operation.at(knobs).witness)),
        at_border=border,
    )  # fmt: skip


def trade_offs(
    operation: Operation, knobs: Knobs = USUAL, *, points: int = 25, mapped: Mapped = map
) -> "Figure":
    """Draw the time to the 99 % claim over each knob alone, all else at `knobs`.

    Parameters
    ----------
    operation : Operation
    knobs : Knobs
    points : int
        Per curve.
    mapped : callable, optional
        What evaluates the points, elsewhere and side by side; by default here.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=(7.2, 4.8), layout="constrained")
    panels = {
        "theta": ("phase θ (π)", np.linspace(-0.25, 0.25, points), np.pi, ()),
        "delay": ("delay (ns)", np.geomspace(60, 500, points), 1e-9, (60, 100, 200, 400)),
        "e_pump": ("pump energy (now = 1)", np.geomspace(0.3, 2.0, points), 1.0, (0.3, 0.5, 1, 2)),
        "e_read": ("read energy (now = 1)", np.geomspace(0.3, 2.0, points), 1.0, (0.3, 0.5, 1, 2)),
        "period": ("period (µs)", np.geomspace(15, 100, points), 1e-6, (15, 25, 50, 100)),
        "filter_hz": ("filter width (MHz)", np.geomspace(20, 70, points), 1e6, (20, 35, 50, 70)),
    }
    asked = [knobs]
    for name, (_, values, unit, _) in panels.items():
        at_best = name == "delay" and knobs.theta is None
        begin = replace(knobs, theta=0.0) if at_best else knobs
        asked += [replace(begin, **{name: float(value * unit)}) for value in values]
    trials = mapped(partial(expected_trials, operation), asked)
    now, *hours = (n * at.period / 3600 for n, at in zip(trials, asked, strict=True))
    for place, (label, values, _, ticks) in enumerate(panels.values()):
        axes = figure.add_subplot(2, 3, place + 1)
        curve = hours[place * points : (place + 1) * points]
        found = [each if math.isfinite(each) else np.nan for each in curve]
        axes.plot(values, found, color=COLORS[0])
        if math.isfinite(now):
            axes.axhline(now, color=FAINT, lw=1, ls="--")
        axes.set(xlabel=label, yscale="log", ylim=(0.9 * np.nanmin(found), 20 * np.nanmin(found)))
        if ticks:
            axes.set(xscale="log", xlim=(values[0], values[-1]))
            axes.set_xticks(ticks)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        if place % 3 == 0:
            axes.set_ylabel("hours to 99 %")
        axes.grid(alpha=0.3)
    return figure
