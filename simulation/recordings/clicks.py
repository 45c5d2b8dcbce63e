"""Exact sparse sampling of tag events: the cost follows the clicks, not the trials."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.gates import Gate, GateSet
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import SYNC
from simulation.recordings.pulses import PhotonPulse, Timing, arrival_times
from simulation.theory.dlcz import DLCZParameters, click_patterns

Integers = NDArray[np.int64]
Real = NDArray[np.float64]
Cell = tuple[Integers, Real, NDArray[np.uint8]]
"""Trial, time and detector of the clicks of one detector in one gate."""

_CLICKED_TRIALS: Final = 1 << 16
"""Expected trials with clicks that are drawn together; part of what a seed means."""

_SYNC_BLOCK: Final = 1 << 18
"""Trials per block of T2 events."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clicks:
    """Clicks of a run of consecutive trials, in time order.

    Attributes
    ----------
    first_trial, trials : int
        The run: trials ``first_trial`` to ``first_trial + trials - 1``.
    trial : ndarray of int64, shape (n,)
        Trial of each click, counted from 0 since the start of the measurement.
    time : ndarray, shape (n,)
        Seconds after the trial's start.
    detector : ndarray of uint8, shape (n,)
        1 or 2.
    """

    first_trial: int
    trials: int
    trial: Integers
    time: Real
    detector: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.trial)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClickModel:
    """Click probabilities of two detectors in the gates ``pump`` and ``read``.

    Attributes
    ----------
    light : ndarray, shape (2, 2, 2, 2)
        Probability of each pattern without dark clicks; axes p1, p2, r1, r2, index 1 for a click.
    dark : ndarray, shape (2, 2)
        Probability of a dark click, element [gate, detector].
    blindness, afterpulse, crosstalk : float
        The detectors' memory, see `simulation.theory.dlcz.click_probabilities`.
    """

    light: Real
    dark: Real
    blindness: float = 0.0
    afterpulse: float = 0.0
    crosstalk: float = 0.0

    @property
    def clicks(self) -> float:
        """Mean clicks per trial, at most one per gate and detector; with memory from above."""
        axes = range(4)
        lit = np.array([self.light.sum(axis=tuple(set(axes) - {k}))[1] for k in axes])
        dark = self.dark.reshape(4)
        each = lit + dark - lit * dark
        return float(each.sum() + (self.afterpulse + self.crosstalk) * each[:2].sum())


def click_model(source: DLCZParameters | ClickModel) -> ClickModel:
    """Return the click probabilities of the two-device protocol: light, darks, memory apart.

    Raises
    ------
    ValueError
        If a parameter is an array.
    """
    if isinstance(source, ClickModel):
        return source
    if source.shape:
        message = f"parameters must be numbers to sample from, but are arrays {source.shape}"
        raise ValueError(message)
    apart = ("dark_1", "dark_2", "blindness", "afterpulse", "crosstalk")
    light = click_patterns(replace(source, **dict.fromkeys(apart, 0.0)))
    return ClickModel(
        light=light,
        dark=np.tile(source.per_detector("dark"), (2, 1)),
        blindness=float(source.blindness),
        afterpulse=float(source.afterpulse),
        crosstalk=float(source.crosstalk),
    )


def sample_clicks(
    source: DLCZParameters | ClickModel, timing: Timing, trials: int, rng: np.random.Generator
) -> Iterator[Clicks]:
    """Draw the clicks of a measurement from the exact model.

    Per run of trials: the numbers of the 16 photon click patterns are one multinomial draw, their
    trials a uniform choice without replacement, and dark clicks independent binomials, uniform in
    the gate. Of the detectors' memory (`blindness`, `afterpulse`, `crosstalk`) each pump click
    decides by itself; false clicks are uniform in the read gate. A detector clicks once per gate,
    at the earliest of its events, as in `simulation.theory.dlcz.click_probabilities`; then the
    dead time applies.

    Parameters
    ----------
    source : DLCZParameters or ClickModel
        Parameters are numbers only, no arrays.
    timing : Timing
    trials : int
    rng : numpy.random.Generator
        Same generator state, same clicks: a run's length depends on the parameters only.

    Yields
    ------
    Clicks
        One run after the other; runs without clicks are yielded too.

    Raises
    ------
    ValueError
        If `trials` is not positive or a parameter is an array.
    """
    if trials < 1:
        message = f"`trials` must be at least 1, but is {trials}"
        raise ValueError(message)
    return _runs(_Sampler(click_model(source), timing, rng), trials)


def t3_events(clicks: Clicks, gates: GateSet, resolution: float) -> Events:
    """Clicks as T3 events: trial as sync number, bin after the sync.

    Parameters
    ----------
    clicks : Clicks
    gates : GateSet
    resolution : float
        Seconds per dtime bin.

    Raises
    ------
    ValueError
        If a gate's edge is not a whole number of bins: counts at the edge would be lost.
    """
    check_grid(gates, resolution)
    return Events(
        time=clicks.trial,
        dtime=_bins(clicks, resolution).astype(np.int32),
        channel=_channels(clicks, gates),
    )


def t2_events(
    clicks: Clicks, gates: GateSet, resolution: float, *, block: int = _SYNC_BLOCK
) -> Iterator[Events]:
    """Clicks as T2 events with one sync record per trial, in blocks of `block` trials.

    Parameters
    ----------
    clicks : Clicks
    gates : GateSet
    resolution : float
        Seconds per tick.
    block : int
        Trials per block; memory follows it, the stream of events does not depend on it.

    Raises
    ------
    ValueError
        If a gate's edge or the period is not a whole number of ticks.
    """
    check_grid(gates, resolution)
    ticks = whole_ticks("the period", gates.period, resolution)
    bins, channel = _bins(clicks, resolution), _channels(clicks, gates)
    last = clicks.first_trial + clicks.trials
    for start in range(clicks.first_trial, last, block):
        stop = min(start + block, last)
        part = slice(*np.searchsorted(clicks.trial, (start, stop)))
        yield _with_syncs(start, stop, clicks.trial[part], bins[part], channel[part], ticks)


def split_by_mode(trials: Integers, pattern: Integers) -> list[Integers]:
    """Return the trials in which each of the modes p1, p2, r1, r2 clicked.

    Parameters
    ----------
    trials : ndarray of int64, shape (n,)
    pattern : ndarray of int64, shape (n,)
        Which of the 15 patterns with clicks: its number + 1 has the bits p1 (8), p2, r1, r2 (1).
    """
    clicked = pattern + 1
    return [trials.take(np.flatnonzero(clicked & bit)) for bit in (8, 4, 2, 1)]


def check_grid(gates: GateSet, resolution: float) -> None:
    """Raise ValueError unless all edges of the gates are whole numbers of bins."""
    for gate in gates.gates:
        whole_ticks(f"start of gate {gate.name!r}", gate.start, resolution)
        whole_ticks(f"stop of gate {gate.name!r}", gate.stop, resolution)


def whole_ticks(what: str, seconds: float, resolution: float) -> int:
    """Return `seconds` in units of `resolution`, or raise ValueError if that is no integer."""
    ticks = round(seconds / resolution)
    if abs(seconds / resolution - ticks) > 1e-6:
        message = (
            f"{what} must be a multiple of the resolution of {resolution:g} s, but is {seconds:g} s"
        )
        raise ValueError(message)
    return ticks


class _Sampler:
    """What every run needs, computed once."""

    def __init__(self, model: ClickModel, timing: Timing, rng: np.random.Generator) -> None:
        self.model, self.timing = model, timing
        self.rng = rng
        light = model.light.reshape(16)
        # the silent pattern comes last: its probability is what the others leave
        self.patterns = np.append(light[1:], 1 - light[1:].sum())
        self.dark = model.dark
        busy = light[1:].sum() + self.dark.sum()
        self.run_length = int(min(_CLICKED_TRIALS / busy, 2.0**62)) if busy > 0 else 2**62

    def run(self, first_trial: int, trials: int) -> Clicks:
        """Draw the clicks of one run."""
        counts = self.rng.multinomial(trials, self.patterns)[:15]
        chosen = self.rng.choice(trials, counts.sum(), replace=False)
        pattern = np.repeat(np.arange(15), counts)
        cells = [
            self._cell(trials, lit, gate, pulse, detector, dark)
            for lit, (gate, pulse, detector), dark in zip(
                split_by_mode(chosen, pattern), self._modes(), self.dark.ravel(), strict=True
            )
        ]
        cells[2:] = [self._remembered(cells[:2], cells[2:], own) for own in (0, 1)]
        trial, time, detector = (np.concatenate(column) for column in zip(*cells, strict=True))
        order = np.lexsort((time, trial))
        clicks = Clicks(
            first_trial=first_trial,
            trials=trials,
            trial=trial[order] + first_trial,
            time=time[order],
            detector=detector[order],
        )
        return _with_dead_time(clicks, self.timing.dead_time) if self.timing.dead_time else clicks

    def _modes(self) -> list[tuple[Gate, PhotonPulse, int]]:
        pump, read = self.timing.gates.gates
        return [
            (gate, pulse, detector)
            for gate, pulse in ((pump, self.timing.pump), (read, self.timing.read))
            for detector in (1, 2)
        ]

    def _cell(
        self, trials: int, lit: Integers, gate: Gate, pulse: PhotonPulse, detector: int, dark: float
    ) -> Cell:
        """Clicks of one detector in one gate: from light, and dark ones."""
        time = arrival_times(self.rng, pulse, gate, self.timing.jitter, len(lit))
        darks = self.rng.binomial(trials, dark)
        dark_trial = self.rng.choice(trials, darks, replace=False)
        dark_time = self.rng.uniform(gate.start, gate.stop, darks)
        return _with_more(lit, time, dark_trial, dark_time, detector)

    def _remembered(self, pump: list[Cell], read: list[Cell], own: int) -> Cell:
        """Read clicks of one detector once it remembers the pump clicks of both."""
        trial, time, _ = read[own]
        mine, others = pump[own][0], pump[1 - own][0]
        if self.model.blindness:
            missed = self.rng.random(len(trial)) < self.model.blindness
            missed &= np.isin(trial, mine)
            trial, time = trial[~missed], time[~missed]
        causes = ((mine, self.model.afterpulse), (others, self.model.crosstalk))
        false = [
            clicked[self.rng.random(len(clicked)) < probability]
            for clicked, probability in causes
            if probability
        ]
        more = np.concatenate([np.empty(0, np.int64), *false])
        gate = self.timing.gates.gates[1]
        more_time = self.rng.uniform(gate.start, gate.stop, len(more))
        return _with_more(trial, time, more, more_time, own + 1)


def _runs(sampler: _Sampler, trials: int) -> Iterator[Clicks]:
    for first in range(0, trials, sampler.run_length):
        yield sampler.run(first, min(sampler.run_length, trials - first))


def _with_more(trial: Integers, time: Real, more: Integers, more_time: Real, detector: int) -> Cell:
    """Clicks of one detector in one gate with some more: the earliest of a trial counts."""
    trial, time = np.append(trial, more), np.append(time, more_time)
    if len(more):
        order = np.lexsort((time, trial))
        trial, time = trial[order], time[order]
        is_first = np.diff(trial, prepend=-1) > 0
        trial, time = trial[is_first], time[is_first]
    return trial, time, np.full(len(trial), detector, np.uint8)


def _with_dead_time(clicks: Clicks, dead_time: float) -> Clicks:
    """Drop clicks that follow one of the same detector and trial within the dead time."""
    alive = np.ones(len(clicks), dtype=np.bool_)
    for detector in (1, 2):
        mine = np.flatnonzero(clicks.detector == detector)
        same_trial = np.diff(clicks.trial[mine]) == 0
        too_soon = same_trial & (np.diff(clicks.time[mine]) < dead_time)
        alive[mine[1:][too_soon]] = False
    return Clicks(
        first_trial=clicks.first_trial,
        trials=clicks.trials,
        trial=clicks.trial[alive],
        time=clicks.time[alive],
        detector=clicks.detector[alive],
    )


def _bins(clicks: Clicks, resolution: float) -> Integers:
    return np.floor(clicks.time / resolution).astype(np.int64)


def _channels(clicks: Clicks, gates: GateSet) -> NDArray[np.uint8]:
    table = np.array([0, gates.detectors[1], gates.detectors[2]], np.uint8)
    return np.asarray(table[clicks.detector])


def _with_syncs(
    start: int, stop: int, trial: Integers, bins: Integers, channel: NDArray[np.uint8], ticks: int
) -> Events:
    """Events of trials `start` to `stop`: each trial's sync, then its clicks."""
    place = trial - start + np.arange(1, len(trial) + 1)
    is_sync = np.ones(stop - start + len(trial), np.bool_)
    is_sync[place] = False
    time = np.empty(len(is_sync), np.int64)
    time[is_sync] = np.arange(start, stop, dtype=np.int64) * ticks
    time[place] = trial * ticks + bins
    channels = np.full(len(is_sync), SYNC, np.uint8)
    channels[place] = channel
    return Events(time=time, dtime=None, channel=channels)
