"""What a detector remembers of its last click: dead time and afterpulses, from its own clicks."""

from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Final

import numpy as np

from analysis.binomial import Interval
from analysis.correlation import LEVEL, GammaPosterior, check_level
from analysis.questions.delays import correlate
from analysis.tagfile import TagSource, open_tags

_BINS: Final = 2_000
_MOST_BLOCKED: Final = 0.5
_DRAWS: Final = 20_000
_SEED: Final = 20_180_425


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Dead time and afterpulses of one channel.

    Attributes
    ----------
    clicks : int
    seconds : float
    dead_time : float
        Lower edge of the first bin with a pair of clicks, in seconds: the detector is live from
        there on.
    dead_time_bin : float
        Width of that bin.
    chance : float
        Probability of no earlier pair without any dead time, e^(−expected pairs) at a steady rate:
        only a small one shows that there is a dead time.
    blocked : float
        Clicks that chance would bring within the dead time of another, per click: the share of
        the light that finds the detector dead.
    afterpulse : Interval
        Further clicks that a click brings within the reach, per click.
    """

    clicks: int
    seconds: float
    dead_time: float
    dead_time_bin: float
    chance: float
    blocked: float
    afterpulse: Interval

    @property
    def rate(self) -> float:
        """Clicks per second as measured."""
        return self.clicks / self.seconds

    @property
    def corrected_rate(self) -> float | None:
        """Rate r (1 − p)/(1 − blocked): no afterpulses, and per live second.

        None if more than half of a steady light would be blocked: the gap is one of the light then,
        as between pulses.
        """
        if self.blocked > _MOST_BLOCKED:
            return None
        return self.rate * (1 - self.afterpulse.value) / (1 - self.blocked)

    def to_dict(self) -> dict[str, object]:
        """Return all values, as the command line prints them in JSON."""
        return {
            "clicks": self.clicks,
            "seconds": self.seconds,
            "rate": self.rate,
            "corrected_rate": self.corrected_rate,
            "dead_time": self.dead_time,
            "dead_time_bin": self.dead_time_bin,
            "dead_time_chance": self.chance,
            "blocked": self.blocked,
            "afterpulse": self.afterpulse.to_dict(),
        }

    def __str__(self) -> str:
        corrected = self.corrected_rate
        told = (
            "not corrected: such a dead time would block most of a steady light, so the gap is the "
            "light's own, as between pulses"
            if corrected is None
            else f"corrected {corrected:.6g} /s"
        )
        return (
            f"rate        {self.rate:.6g} /s, {told}\n"
            f"dead time   {self.dead_time * 1e9:.4g} ns (bins of {self.dead_time_bin * 1e9:.3g} ns;"
            f" by chance with probability {self.chance:.2g})\n"
            f"afterpulses {self.afterpulse} per click"
        )


def detector_memory(
    path: str | Path | TagSource, channel: int, *, reach: float, level: float = LEVEL
) -> Memory:
    """Estimate dead time and afterpulse probability of one channel.

    In T2 pairs of clicks with delays in [d, L) are compared with those in [L + d, 2L), where L is
    the reach and d the dead time: p = (near − far)/n. Without memory both have the same
    expectation, in continuous light at any L, in pulsed light if L is a whole number of periods.
    The interval has the quantiles of the difference of two Gamma posteriors. Bunched light looks
    the same as afterpulses: measure with coherent light, or in the dark. A dead time in steady
    light of rate r alone gives p = (r d)²/2 (renewal density of a detector that is not
    paralysable).

    In T3 pairs of the same trial with delays in [d, L) are compared with those expected of
    independent trials, for any pulses; heralded or bunched light then looks like afterpulses.

    Parameters
    ----------
    path : path or open source
    channel : int
    reach : float
        L in seconds: longer than the afterpulses last, in T3 within the range of the file.
    level : float

    Raises
    ------
    TagFileError
        As `analysis.questions.delays.correlate`.
    ValueError
        If there are no two clicks within 2L, or the level or reach is not allowed.
    """
    check_level(level)
    source = path if isinstance(path, TagSource) else open_tags(path)
    if not reach >= source.resolution:
        message = f"`reach` must be at least a tick of {source.resolution:g} s, but is {reach!r}"
        raise ValueError(message)
    ticks = round(reach / source.resolution)
    per_bin = next(n for n in range(max(ticks // _BINS, 1), ticks + 1) if ticks % n == 0)
    width = per_bin * source.resolution
    in_trials = source.layout.mode == "T3"
    longest = ticks * source.resolution * (1 if in_trials else 2)
    found = correlate(source, channel, channel, delay=longest, width=width)
    half = len(found.pairs) // 2
    pairs, expected = found.pairs[half:], found.expected[half:]
    if not pairs.any():
        message = (
            f"{source.path}: channel {channel} has no two clicks within {longest:g} s; measure "
            "longer or with a longer reach"
        )
        raise ValueError(message)
    first = int(np.argmax(pairs > 0))
    bins = ticks // per_bin
    dead = min(first, bins)
    near, clicks = int(pairs[dead:bins].sum()), found.clicks[0]
    if in_trials:
        afterpulse = _excess(near, float(expected[dead:bins].sum()), clicks, level)
    else:
        afterpulse = _difference(near, int(pairs[bins + dead :].sum()), clicks, level)
    missed = float(expected[:first].sum())
    return Memory(
        clicks=clicks,
        seconds=found.seconds,
        dead_time=first * width,
        dead_time_bin=width,
        chance=exp(-missed),
        blocked=missed / clicks,
        afterpulse=afterpulse,
    )


def _excess(near: int, expected: float, clicks: int, level: float) -> Interval:
    posterior = GammaPosterior(events=near, exposure=1.0)
    low, high = (float(posterior.quantile((1 + sign * level) / 2)) for sign in (-1, 1))
    return Interval(
        value=(near - expected) / clicks,
        low=(low - expected) / clicks,
        high=(high - expected) / clicks,
        level=level,
    )


def _difference(near: int, far: int, clicks: int, level: float) -> Interval:
    rng = np.random.default_rng(_SEED)
    draws = rng.gamma(near + 1, size=_DRAWS) - rng.gamma(far + 1, size=_DRAWS)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2]) / clicks
    return Interval(value=(near - far) / clicks, low=float(low), high=float(high), level=level)
