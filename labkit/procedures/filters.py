"""``filters``: scan each tunable filter over its line and park it on the maximum."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from analysis.gates import GateSet
from analysis.palette import COLORS
from analysis.resonance import ResonanceFit, fit_resonance
from labkit.procedures import Result
from labkit.procedures.session import Session, check_options, setting_back
from labkit.run.parts import VOLTAGE, Part
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MILLION = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterOptions:
    """How to scan.

    Attributes
    ----------
    span : float
        Width of the scan around the present voltage, V.
    points : int
    trials : int
        Per point.
    passes : int
        How often to go through all filters: one shifts the line that its neighbour sees.
    only : tuple of str
        Filters to scan, by place; all if empty.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    span: float = 0.1
    points: int = 11
    trials: int = 2_000_000
    passes: int = 2
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_options(self, positive=("span",), at_least={"points": 5, "trials": 1, "passes": 1})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilterScan:
    """One filter's scan.

    Attributes
    ----------
    volts : ndarray of float64
        V.
    clicks : ndarray of int64
        That pass it at each voltage.
    trials : ndarray of int64
        In which they came.
    fit : ResonanceFit
        The line, in clicks per 10⁶ trials.
    """

    volts: NDArray[np.float64]
    clicks: NDArray[np.int64]
    trials: NDArray[np.int64]
    fit: ResonanceFit


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterResult(Result):
    """All scans by place of the filter."""

    procedure: ClassVar[str] = "filters"
    scans: dict[str, FilterScan]

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            place: {
                "centre_volts": scan.fit.centre.value,
                "centre_sigma_volts": scan.fit.centre.sigma,
                "width_volts": scan.fit.width.value,
                "width_sigma_volts": scan.fit.width.sigma,
            }
            for place, scan in self.scans.items()
        }

    def __str__(self) -> str:
        return "\n".join(
            f"filter {place:<5} at {scan.fit.centre} V, {1e3 * scan.fit.width.value:.1f} mV wide"
            for place, scan in self.scans.items()
        )

    def plot(self) -> "Figure":
        """Draw every scan with its fit."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(2.6 * max(1, len(self.scans)), 2.8), layout="constrained")
        panels = figure.subplots(1, max(1, len(self.scans)), squeeze=False)[0]
        for axes, (place, scan) in zip(panels, self.scans.items(), strict=False):
            axes.plot(scan.volts, MILLION * scan.clicks / scan.trials, ".", color=COLORS[0])
            fine = np.linspace(scan.volts[0], scan.volts[-1], 200)
            axes.plot(fine, scan.fit.curve(fine), lw=1, color=COLORS[1])
            axes.set(title=f"filter {place}", xlabel="V", ylabel="clicks per 10⁶ trials")
        return figure


def filters(session: Session, sequence: PulseSequence, options: FilterOptions) -> FilterResult:
    """Tune every filter to the scattered light; leaves each on its maximum.

    Filters before different detectors are scanned at the same time.

    Raises
    ------
    ValueError
        If a filter shows no line in its scan (it is set back to where it was), or `only` names
        none of the station's.
    """
    tuned = session.lab.filters
    if unknown := [place for place in options.only if place not in tuned]:
        message = f"`only` must name some of {', '.join(tuned)}, but names {', '.join(unknown)}"
        raise ValueError(message)
    places = [place for place in tuned if not options.only or place in options.only]
    scans: dict[str, FilterScan] = {}
    groups = seen_apart(places, sequence.gates.names) * options.passes
    for group in session.steps("filters", groups, " and ".join):
        before = {place: float(tuned[place].voltage()) for place in group}
        found = _scan(session, sequence, options, group, options.trials)
        for place, scan in found.items():
            tuned[place].voltage(before[place])
            if isinstance(scan, ValueError):
                session.say(f"filter {place}: {scan}; scanning again with four times the trials")
                scan = _again(session, sequence, options, place, before[place])
            now = scan.fit.centre.value
            tuned[place].voltage(now)
            session.point(f"filter {place}: {before[place]:.4f} V -> {now:.4f} V")
            scans[place] = scan
    session.tuned({place: scan.fit.width.value for place, scan in scans.items()})
    return FilterResult(scans=scans)


def seen_apart(places: Sequence[str], gates: Sequence[str]) -> list[tuple[str, ...]]:
    """Group filters that may move at the same time: each is before another detector.

    Those behind a laser stand alone: the pump's power also changes what the read brings.
    """
    groups = [(place,) for place in places if place in gates]
    by_detector: dict[str, list[str]] = {}
    for place in places:
        if place not in gates:
            by_detector.setdefault(place[0], []).append(place)
    rows = zip_longest(*by_detector.values())
    return groups + [tuple(place for place in row if place is not None) for row in rows]


@contextmanager
def off_the_line(session: Session, volts: float) -> Iterator[None]:
    """Move the filters before the detectors by `volts`; they are set back as by `only`.

    What still comes through is no scattered light: leaked drive light and dark counts.
    """
    filters_there = [f for place, f in session.lab.filters.items() if place[0] in "12"]
    before = [float(device.voltage()) for device in filters_there]

    def move(by: float) -> None:
        for device, volt in zip(filters_there, before, strict=True):
            device.voltage(volt + by)

    with setting_back(session, lambda: move(0.0)):
        move(volts)
        yield


def _scan(
    session: Session,
    sequence: PulseSequence,
    options: FilterOptions,
    group: Sequence[str],
    trials: int,
) -> dict[str, FilterScan | ValueError]:
    """Scan a group of filters around their present voltages and fit their lines, or say why not."""
    steps = np.linspace(-0.5, 0.5, options.points) * options.span
    middle = {place: float(session.lab.filters[place].voltage()) for place in group}
    moved = [{place: middle[place] + float(step) for place in group} for step in steps]
    name = f"filter {' and '.join(group)}"
    first = group[0]
    taken = scan_filters(
        session, sequence, trials, moved, name,
        lambda volts: f"{volts[first] - middle[first]:+.4f} V",
    )  # fmt: skip
    found: dict[str, FilterScan | ValueError] = {}
    for place in group:
        try:
            found[place] = _fitted(place, middle[place] + steps, taken, sequence.gates)
        except ValueError as error:
            found[place] = error
    return found


def scan_filters(
    session: Session,
    sequence: PulseSequence,
    trials: int,
    volts: Sequence[Mapping[str, float]],
    name: str,
    what: Callable[[Mapping[str, float]], str] = lambda _: "",
) -> list[Part]:
    """Take so many trials with the filters at one set of voltages after another, in one block.

    Parameters
    ----------
    session : Session
    sequence : PulseSequence
    trials : int
        At each.
    volts : sequence of mapping of str to float
        V, by place; the same places in each.
    name, what
        See `Session.scan`; `what` is given the voltages by place.
    """
    devices, before = session.lab.filters, len(VOLTAGE)

    def move(setting: Mapping[str, float]) -> None:
        for key, volt in setting.items():
            device = devices[key[before:]]
            if now.get(key) != volt:
                device.voltage(volt)
                now[key] = volt

    now: dict[str, float] = {}
    settings = [{f"{VOLTAGE}{place}": volt for place, volt in each.items()} for each in volts]
    about: dict[str, float | str] = {"procedure": "filters", "filter": " ".join(volts[0])}
    return session.scan(
        sequence, trials, settings, move, about, name=name,
        what=lambda setting: what({key[before:]: volt for key, volt in setting.items()}),
    )  # fmt: skip


def _fitted(
    place: str, volts: NDArray[np.float64], taken: Sequence[Part], gates: GateSet
) -> FilterScan:
    clicks = np.array([passing(part.singles, place, gates) for part in taken])
    trials = np.array([part.trials for part in taken])
    if not _varies(clicks, trials):
        seen = np.array([part.singles.sum(axis=0) for part in taken])
        message = (
            f"the scan must show a line, but the clicks ({clicks.min()} to {clicks.max()}) do not"
            + _seen_elsewhere(place, list(gates.detectors), seen, trials)
        )
        raise ValueError(message)
    per_million = MILLION / trials
    sigma = per_million * np.sqrt(np.maximum(clicks, 1))
    fit = fit_resonance(volts, per_million * clicks, sigma)
    return FilterScan(volts=volts, clicks=clicks, trials=trials, fit=fit)


def _tune(
    session: Session, sequence: PulseSequence, options: FilterOptions, place: str, trials: int
) -> FilterScan:
    """Scan one filter around its present voltage and fit its line."""
    found = _scan(session, sequence, options, (place,), trials)[place]
    if isinstance(found, ValueError):
        raise found
    return found


def _seen_elsewhere(
    place: str, detectors: Sequence[int], seen: NDArray[np.int64], trials: NDArray[np.int64]
) -> str:
    """Say if another detector than the filter's own sees the line."""
    others = [
        number for row, number in enumerate(detectors)
        if place[0] != str(number) and _varies(seen[:, row], trials)
    ]  # fmt: skip
    if place[0] not in map(str, detectors) or not others:
        return ""
    return (
        f", while detector {others[0]} sees it: the detectors' cables or channels are swapped, or "
        "the filters' voltages"
    )


def _varies(clicks: NDArray[np.int64], trials: NDArray[np.int64]) -> bool:
    """Tell whether rates vary more than by chance: χ² of equal ones beyond 6 σ."""
    number = len(clicks)
    mean = max(float(clicks.sum()), number) / float(trials.sum()) * trials
    chi2 = float(np.sum((clicks - mean) ** 2 / mean))
    return bool(chi2 > number + 6 * np.sqrt(2 * number))


def _again(
    session: Session, sequence: PulseSequence, options: FilterOptions, place: str, before: float
) -> FilterScan:
    """Scan again with more trials; if that fails too, set the filter back and raise."""
    device = session.lab.filters[place]
    device.voltage(before)
    try:
        return _tune(session, sequence, options, place, 4 * options.trials)
    except ValueError as error:
        device.voltage(before)
        reversed_too = _reversed(session, sequence, options, place, before)
        message = f"filter {place}: {error}{reversed_too}"
        raise ValueError(message) from None


def _reversed(
    session: Session, sequence: PulseSequence, options: FilterOptions, place: str, before: float
) -> str:
    """Say if the line is there once both serrodyne shifts are reversed; the filter is set back."""
    shifted = [pulse for pulse in sequence.pulses if pulse.shift_hz]
    if not shifted or place in sequence.gates.names:
        return ""
    other = sequence
    for pulse in shifted:
        other = other.with_pulse(pulse.name, shift_hz=-pulse.shift_hz)
    device = session.lab.filters[place]
    try:
        _tune(session, other, options, place, 4 * options.trials)
    except ValueError:
        return ""
    finally:
        device.voltage(before)
    return (
        "; with both frequency shifts reversed there is one: the serrodyne runs backwards (sign of "
        "the shifts, polarity of the modulator or of its amplifier)"
    )


def passing(singles: NDArray[np.int64], place: str, gates: GateSet) -> int:
    """Return the clicks that pass a filter: of a laser's pulse, or of a detector.

    Parameters
    ----------
    singles : ndarray of int64, shape (gates, detectors)
    place : str
        Of the filter.
    gates : GateSet
    """
    if place in gates.names:
        return int(singles[gates.names.index(place)].sum())
    detector = list(gates.detectors).index(int(place[0]))
    return int(singles[:, detector].sum())
