"""What a campaign measured, by setting: counts, and when they were taken."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simulation.inference.setting import Setting

Real = NDArray[np.float64]

Kind = Literal["light", "laser"]

LONGEST, MOST = 60.0, 200
"""Drifts are looked at in steps of at most so many s, and at so many instants of a record."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """Counts of one setting in one run, all its blocks added.

    Attributes
    ----------
    data_set : str
        Procedure, and device where there is one.
    run : str
    setting : Setting
    kind : {"light", "laser"}
        ``laser``: coherent light in both gates, of which only the coincidences tell something.
    trials : int
    singles : ndarray, shape (4,)
        Clicks of p1, p2, r1, r2; nan in a gate that was not there.
    coincidences : ndarray, shape (2, 2)
        Of r_{i+1} and p_{j+1}, element [i, j]; nan unless both gates were there.
    before : ndarray, shape (2,)
        Clicks of detectors 1, 2 before the first pulse of the trial.
    before_seconds : float
        How long that is, per trial.
    spans : tuple of (float, float)
        When its blocks began and ended, s by a clock.
    clock : str
        Names that clock; by default it is the run's own. Drifts of records by different clocks have
        nothing to do with each other.
    exposure : ndarray, shape (2, 2), optional
        Coincidences are Poisson about g² times this; by default the block's own S_i S_j/N.
    """

    data_set: str
    run: str
    setting: Setting
    kind: Kind = "light"
    trials: int
    singles: Real
    coincidences: Real
    before: Real = field(default_factory=lambda: np.zeros(2))
    before_seconds: float = 0.0
    spans: tuple[tuple[float, float], ...] = ((0.0, 0.0),)
    clock: str = ""
    exposure: Real | None = None

    def __post_init__(self) -> None:
        where = f"{self.run}: {self.data_set}"
        if self.singles.shape != (4,) or self.coincidences.shape != (2, 2) or self.trials <= 0:
            message = (
                f"{where}: a setting must have 4 singles, 2 × 2 coincidences and trials > 0, but "
                f"has {self.singles.shape}, {self.coincidences.shape} and {self.trials}"
            )
            raise ValueError(message)
        if np.any(self.singles < 0) or np.any(self.coincidences < 0) or np.any(self.before < 0):
            message = f"{where}: counts must not be negative, but one is"
            raise ValueError(message)

    def instants(self) -> tuple[Real, Real]:
        """Return instants (s) that stand for its time, and their weights, which sum to 1."""
        times, weights = [], []
        for begin, end in self.spans:
            steps = max(1, int(np.ceil((end - begin) / LONGEST)))
            times.append(begin + (end - begin) * (np.arange(steps) + 0.5) / steps)
            weights.append(np.full(steps, max(end - begin, 1e-9) / steps))
        time, weight = np.concatenate(times), np.concatenate(weights)
        weight = weight / weight.sum()
        if len(time) > MOST:
            firsts = np.unique(np.linspace(0, len(time), MOST, endpoint=False).astype(np.int64))
            whole = np.add.reduceat(weight, firsts)
            time, weight = np.add.reduceat(time * weight, firsts) / whole, whole
        return time, weight


def blocked_arm_events(device: str, mode: float, events: float, reference: Setting) -> Record:
    """Return blocked-arm g² of a device that is known as a Gamma distribution only.

    Its density in g is that of `events` coincidences, Poisson about g · events/mode, as measured at
    the second detector (`simulation.theory.dlcz.single_device_g2`).

    Parameters
    ----------
    device : str
        A or B.
    mode, events : float
        Most probable g², and the number of coincidences behind it, both above 0.
    reference : Setting
        At whose pulses it was measured.

    Raises
    ------
    ValueError
        If the device is unknown, or a number is not above 0.
    """
    if device not in ("A", "B") or not (mode > 0 and events > 0):
        message = (
            "blocked-arm g² must be of device A or B with mode and events above 0, but is of "
            f"{device!r} with {mode!r} and {events!r}"
        )
        raise ValueError(message)
    arms = (1.0, 0.0) if device == "A" else (0.0, 1.0)
    found, exposure = np.full((2, 2), np.nan), np.zeros((2, 2))
    found[1, 1], exposure[1, 1] = events, events / mode
    return Record(
        data_set=f"g2 {device}", run="blocked-arm events",
        setting=replace(reference, e_pump=arms, e_read=arms), trials=1,
        singles=np.full(4, np.nan), coincidences=found, exposure=exposure,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Campaign:
    """All data together.

    Attributes
    ----------
    records : tuple of Record
    reference : Setting
        At whose pulses the parameters hold.
    levels : dict of str to float
        AOM levels of its pulses, if known.
    read_over_pump : float or None
        Energy of its read pulse over that of its pump pulse for lasers of equal power; None if
        not known.
    arms : tuple of float or None
        Transmissions of the attenuators A, B to which energies are relative; None if not known.
    """

    records: tuple[Record, ...]
    reference: Setting
    levels: dict[str, float] = field(default_factory=dict)
    read_over_pump: float | None = None
    arms: tuple[float, float] | None = None

    @property
    def laser_only(self) -> bool:
        """Whether coherent light was measured, which tells the detectors' memory."""
        return any(record.kind == "laser" for record in self.records)

    @property
    def runs(self) -> tuple[str, ...]:
        """Names of the runs, each once."""
        return tuple(dict.fromkeys(record.run for record in self.records))

    @property
    def data_sets(self) -> tuple[tuple[str, str], ...]:
        """(run, data set), each once."""
        return tuple(dict.fromkeys((record.run, record.data_set) for record in self.records))


def correlation_of(records: Sequence[Record], time: float) -> Real:
    """Return the correlation of a slow drift between the means of records, shape (s, s).

    An Ornstein-Uhlenbeck drift of unit variance and this correlation time (s); that by different
    clocks is independent.
    """
    found = np.zeros((len(records), len(records)))
    by_clock: dict[str, list[int]] = {}
    for number, record in enumerate(records):
        by_clock.setdefault(record.clock or record.run, []).append(number)
    for numbers in by_clock.values():
        parts = [records[number].instants() for number in numbers]
        instants, weight = (np.concatenate(both) for both in zip(*parts, strict=True))
        firsts = np.cumsum([0, *(len(when) for when, _ in parts[:-1])])
        for number, (when, share) in zip(numbers, parts, strict=True):
            kernel = np.exp(-np.abs(when[:, None] - instants) / time)
            found[number, numbers] = np.add.reduceat((share @ kernel) * weight, firsts)
    return found
