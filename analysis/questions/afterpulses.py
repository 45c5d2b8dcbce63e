"""g² without what a detector's first click does to its second: afterpulses and dead time."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from analysis.correlation import LEVEL, check_level
from analysis.counts import Counts
from analysis.questions.background import Cell, Corrected, drawn, gate_width, interval_of

Values = NDArray[np.float64]


def without_memory(
    counts: Counts,
    late: Cell,
    early: Cell,
    *,
    calibration: Counts,
    gate: str,
    dead_times: Mapping[int, float] | None = None,
    level: float = LEVEL,
) -> Corrected:
    """Take afterpulses and dead time of single detectors out of g² of an early and a late gate.

    An early click of detector i brings a further click into the late gate with probability q_i,
    and blocks the part b_i of its light. `calibration` shows q_i in a gate where early and late
    clicks are independent otherwise, as C'/n'_e = ρ (1 − b) + q (1 − ρ (1 − b)) beside the ρ of
    trials without an early click: the same gates in coherent light, or a gate without light in the
    recording itself (then its afterpulses per second are taken for those of the late gate). b_i is
    the part of pairs of arrival times, each from its own histogram, closer than the dead time.

    With C = C_t (1 − b) + q (n_e − C_t (1 − b)) at one detector, C_t follows, and the late clicks
    lose q of the early ones and regain the blocked. Pairs of two detectors lose q times the trials
    in which both clicked early.

    The intervals are quantiles of 40,000 draws (fixed seed) of all counts from Gamma(n + 1).

    Parameters
    ----------
    counts : Counts
    late, early : (gate, detector)
        Of which the second comes first in time.
    calibration : Counts
        With the early gate and `gate` of both detectors; may be `counts`.
    gate : str
        Gate of `calibration` in which afterpulses are seen.
    dead_times : mapping of int to float, optional
        Seconds after a click in which a detector is blind, by detector; by default 0.
    level : float

    Returns
    -------
    Corrected
        `shares`: the part of the late clicks that are afterpulses, and b.

    Raises
    ------
    KeyError
        If there is no such gate or detector.
    ValueError
        If the calibration has no early click, the dead time blinds the whole late gate, or more
        afterpulses are expected than there are clicks.
    """
    check_level(level)
    own_early = (early[0], late[1])
    rng = np.random.default_rng(_SEED)
    n = counts.trials.number
    dead = (dead_times or {}).get(late[1], 0.0)
    chance = _afterpulse(rng, calibration, own_early, (gate, late[1]), dead)
    chance *= gate_width(counts, late[0]) / gate_width(calibration, gate)
    blocked = _blocked(counts, own_early, late, dead)
    together, n_late, n_early = (
        drawn(rng, number)
        for number in (counts.coincidence(late, early), counts.single(*late), counts.single(*early))
    )
    same = late[1] == early[1]
    n_own = n_early if same else drawn(rng, counts.single(*own_early))
    own = together if same else drawn(rng, counts.coincidence(late, own_early))
    seen = (own - chance * n_own) / (1 - chance)  # true clicks of the late gate, of those not blind
    true_late = n_late - (own - seen) + seen * blocked / (1 - blocked)
    if same:
        true = seen / (1 - blocked)
    else:
        both = drawn(rng, counts.coincidence(early, own_early))
        true = together - chance * both * (1 - together / n_early)
    if not (true_late[0] > 0 and np.mean(true_late <= 0) <= (1 - level) / 100):
        message = (
            f"gate {late[0]} has {counts.single(*late):,} clicks of detector {late[1]}, no more "
            f"than the {chance[0] * n_own[0]:.4g} afterpulses expected: no signal is left"
        )
        raise ValueError(message)
    true_late = np.maximum(true_late, 1e-9)
    return Corrected(
        raw=interval_of(together * n / (n_late * n_early), together[0], level),
        corrected=interval_of(true * n / (true_late * n_early), together[0], level),
        shares=(float((own[0] - seen[0]) / n_late[0]), blocked),
    )


_SEED = 20_180_426


def _afterpulse(
    rng: np.random.Generator, counts: Counts, early: Cell, late: Cell, dead: float
) -> Values:
    """Return the afterpulses in a gate per early click: the count's, then draws."""
    if counts.single(*early) == 0:
        message = (
            f"the calibration must have clicks of detector {early[1]} in gate {early[0]}, but has "
            "none: it shows no afterpulses"
        )
        raise ValueError(message)
    both = counts.coincidence(late, early)
    numbers = (both, counts.single(*early), counts.single(*late) - both)
    together, n_early, alone = (drawn(rng, number) for number in numbers)
    free = (1 - _blocked(counts, early, late, dead)) * alone / (counts.trials.number - n_early)
    return np.asarray((together / n_early - free) / (1 - free))


def _blocked(counts: Counts, early: Cell, late: Cell, dead: float) -> float:
    """Return the part of pairs of independent arrival times that is closer than the dead time."""
    if dead == 0:
        return 0.0
    row = list(counts.gates.detectors).index(early[1])
    (before, earlier), (after, later) = (counts.arrivals(gate) for gate in (early[0], late[0]))
    weight = np.outer(earlier[row], later[row])
    gaps = (after[:-1] + after[1:])[None, :] / 2 - (before[:-1] + before[1:])[:, None] / 2
    total = weight.sum()
    blocked = float(weight[gaps < dead].sum() / total) if total else 0.0
    live = after[-1] - before[0] > dead
    if blocked == 1 or not live:
        message = (
            f"the dead time of {dead:g} s of detector {early[1]} must leave it live in a part of "
            f"gate {late[0]}, but does not"
        )
        raise ValueError(message)
    return blocked
