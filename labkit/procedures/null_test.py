"""``null_test``: laser light only, in the same gates: coherent light must show g² = 1."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import asin, log1p, pi, sin, sqrt
from typing import TYPE_CHECKING, ClassVar

from analysis.correlation import pooled_g2
from analysis.counts import Counts
from analysis.counts_file import WitnessCounts, witness_counts
from analysis.evaluation import evaluate
from analysis.palette import COLORS, FAINT
from analysis.witness import Condition
from analysis.witness.cells import accidentals
from analysis.witness.laser_light import CROSSED, SAME, null_laser_only, remembering_detectors
from labkit.procedures import Result
from labkit.procedures.filters import off_the_line
from labkit.procedures.session import Session, check_options
from labkit.run.evidence import NULL_TEST, WHEN
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOOK = 100_000
"""Trials of a look at how bright the light is."""

STEPS = 60
"""Looks on the way to the laser before it is given up."""

GLARING, NOTHING = 3.0, 1e-4
"""Times the wanted light at one detector, and so few clicks per trial at the other, are refused."""

DIMMED, DIMMINGS = 1.5, 12
"""Times the wanted light to which glaring light is dimmed, in at most so many looks."""

PUMP_LEVEL = "pump_level"
"""In the setting of a block of dimmed light: drive of the AOM for the pump gate's pulse."""

FAR, FAR_STEPS = 0.2, 3
"""Part of the wanted light below which three steps are gone at once: it grows by less there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaserLightOptions:
    """How the filters before the detectors are brought to pass laser light instead of scattered.

    Attributes
    ----------
    start, step : float
        How far from the line they begin, and go on in steps, towards the pump laser, V; negative
        where their voltage falls towards it.
    pump_level : float
        Drive of the AOM for the pump gate's pulse, 0 to 1; less where that glares.
    clicks : float
        Wanted per trial and detector in the pump gate. Detectors that click in nearly every trial
        tell nothing: light that gives three times as many is dimmed.
    ratio : float
        Of the powers in pump and read gate, both from the pump laser; the read gate should not be
        brighter than in the run, as that would hide crosstalk.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    start: float = 1.5
    step: float = 0.05
    pump_level: float = 0.5
    clicks: float = 0.15
    ratio: float = 500.0

    def __post_init__(self) -> None:
        check_options(self, positive=("pump_level", "clicks"), at_least={"ratio": 1.0})
        if self.start * self.step <= 0:
            message = (
                "`start` and `step` must have the same sign and not be 0, but are "
                f"{self.start:g} and {self.step:g}"
            )
            raise ValueError(message)
        for name in ("pump_level", "clicks"):
            if getattr(self, name) > 1:
                message = f"`{name}` must be at most 1, but is {getattr(self, name):g}"
                raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class NullTestOptions:
    """How long, and with which light.

    Attributes
    ----------
    accidentals : float
        Expected in the low and in the high cells each: 2090 show a relative change of g² by 0.1
        with a power of 0.9 at a false alarm of 0.1 %.
    trials : int
        At most so many.
    bright_trials : int
        With the read gate as bright as the pump gate.
    block : int
        Trials per block.
    light : LaserLightOptions
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    accidentals: float = 2090.0
    trials: int = 60_000_000
    bright_trials: int = 2_000_000
    block: int = 5_000_000
    light: LaserLightOptions = field(default_factory=LaserLightOptions)

    def __post_init__(self) -> None:
        check_options(
            self, positive=("accidentals",), at_least={"trials": 1, "bright_trials": 1, "block": 1}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NullTestResult(Result):
    """What coherent light shows.

    Attributes
    ----------
    trials : int
    low, high : tuple of (int, float)
        Coincidences and accidentals of the low (same detector) and of the high cells.
    bright : tuple of two (int, float)
        The same of low and high cells with a bright read gate.
    condition : Condition
        `null_laser_only`.
    aside : float
        How far the filters were from the line, V.
    remarks : tuple of str
        Which detector remembers what, by `remembering_detectors`.
    """

    procedure: ClassVar[str] = "null_test"
    trials: int
    low: tuple[int, float]
    high: tuple[int, float]
    bright: tuple[tuple[int, float], tuple[int, float]]
    condition: Condition
    aside: float
    remarks: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "trials": self.trials, "aside_volts": self.aside,
            **{
                name: {"coincidences": count, "accidentals": expected}
                for name, (count, expected) in self._cells.items()
            },
            "null_laser_only": self.condition.to_dict(), "remarks": list(self.remarks),
        }  # fmt: skip

    @property
    def _cells(self) -> dict[str, tuple[int, float]]:
        low, high = self.bright
        return {"low": self.low, "high": self.high, "bright low": low, "bright high": high}

    def __str__(self) -> str:
        cells = (
            f"g² {name} {count / expected:.3f} ± {sqrt(count + 1) / expected:.3f}"
            for name, (count, expected) in self._cells.items()
        )
        return "\n".join(
            [f"laser light only: {', '.join(cells)}", str(self.condition), *self.remarks]
        )

    def plot(self) -> "Figure":
        """Draw g² of low and high cells against 1."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(4, 3), layout="constrained")
        axes = figure.add_subplot()
        for place, (count, expected) in enumerate(self._cells.values()):
            axes.errorbar(
                place, count / expected, sqrt(count + 1) / expected, fmt="o", color=COLORS[0]
            )
        axes.axhline(1.0, color=FAINT, lw=1, ls="--")
        axes.set_xticks(
            range(4), ["same", "crossed", "same,\nbright read", "crossed,\nbright read"]
        )
        axes.set(ylabel="$g^{(2)}$ of laser light", xlim=(-0.5, 3.5))
        return figure


def null_test(
    session: Session, sequence: PulseSequence, options: NullTestOptions, *, when: str = ""
) -> NullTestResult:
    """Measure g² between both gates with laser light; no lock is needed.

    Detectors that are blind or click again after a click, and crosstalk, change it; light without
    mechanics does not. Both gates' pulses are cut from the pump laser, its gate made bright, and
    the filters before the detectors moved towards it, off the scattered light. They are set back.
    Afterpulses hide blind detectors if the read gate is dim, and a bright one hides crosstalk: so
    both are tried.

    Parameters
    ----------
    session : Session
    sequence : PulseSequence
    options : NullTestOptions
    when : str
        Names a repetition.

    Raises
    ------
    RuntimeError
        If no position of the filters passes enough light, it cannot be dimmed, or nothing clicks in
        the read gate.
    """
    total: Counts | None = None
    with laser_light(session, sequence, options.light) as (bright, aside):
        level = bright.pulse("pump").level
        dimmed = {} if level == options.light.pump_level else {PUMP_LEVEL: level}
        while total is None or not _enough(total, options):
            left = options.trials - (0 if total is None else total.trials.number)
            if left <= 0:
                break
            setting = {"procedure": NULL_TEST, "light": "laser", WHEN: when} | dimmed
            trials = min(options.block, left)
            counts = session.clicks(bright, trials, setting, keep=True)
            total = counts if total is None else total + counts
        setting = {"procedure": NULL_TEST, "light": "bright laser", WHEN: when} | dimmed
        both = bright.with_pulse("read", level=level)
        bright_read = session.clicks(both, options.bright_trials, setting, keep=True)
    if total is None or not all(expected for _, expected in _cells(witness_counts(total))):
        message = "every detector must click in both gates, but one does not; lower `ratio`"
        raise RuntimeError(message)
    nine, brighter = witness_counts(total), witness_counts(bright_read)
    low, high = _cells(nine)
    return NullTestResult(
        trials=nine.trials, low=low, high=high, bright=_cells(brighter),
        condition=null_laser_only(nine, brighter), aside=aside,
        remarks=remembering_detectors(nine, brighter),
    )  # fmt: skip


@contextmanager
def laser_light(
    session: Session, sequence: PulseSequence, options: LaserLightOptions
) -> Iterator[tuple[PulseSequence, float]]:
    """Bring the filters before the detectors towards the pump laser until it is bright enough.

    If it glares there it is dimmed. Gives the sequence of both gates' laser pulses and how far the
    filters are from the line, V; they are set back at the end.

    Raises
    ------
    RuntimeError
        If it never is, or only at one detector, or cannot be dimmed.
    """
    bright = laser_sequence(sequence, options)
    aside = options.start
    for _ in range(STEPS):
        with off_the_line(session, aside):
            by_detector = _pump_clicks(session, bright)
            seen = min(by_detector.values())
            _refuse_one_sided(by_detector, options.clicks)
            if seen >= options.clicks:
                yield _dimmed(session, sequence, options, seen), aside
                return
        aside += options.step * (FAR_STEPS if seen < FAR * options.clicks else 1)
    message = (
        f"the pump laser must give {options.clicks:g} clicks per trial and detector, but gives "
        f"{seen:.2g} with the filters moved by up to {aside:g} V; check `start`, `step` and their "
        "signs"
    )
    raise RuntimeError(message)


def _dimmed(
    session: Session, sequence: PulseSequence, options: LaserLightOptions, seen: float
) -> PulseSequence:
    """Return the laser pulses so dim that even the detector that sees less does not glare.

    Photons go with the power, clicks per trial, of which `seen` are seen now, do not.
    """
    most, level = GLARING * options.clicks, options.pump_level
    for _ in range(DIMMINGS):
        bright = laser_sequence(sequence, replace(options, pump_level=level))
        if seen <= most:
            return bright
        photons = -log1p(-min(seen, 1 - 1 / LOOK))
        power = _power(level) * -log1p(-DIMMED * options.clicks) / photons
        level = 2 / pi * asin(sqrt(power))
        dim = laser_sequence(sequence, replace(options, pump_level=level))
        seen = min(_pump_clicks(session, dim).values())
    message = (
        f"laser light must be dimmed to {most:.2g} clicks per trial and detector, but still gives "
        f"{seen:.2g} at a level of {level:.2g}; check the extinction of the AOM"
    )
    raise RuntimeError(message)


def _power(level: float) -> float:
    """Return the part of the light that the AOM passes at a level."""
    return sin(pi / 2 * level) ** 2


def laser_sequence(sequence: PulseSequence, options: LaserLightOptions) -> PulseSequence:
    """Return the sequence with both gated pulses cut from the pump laser, and without others."""
    for pulse in sequence.pulses:
        if not pulse.gated:
            sequence = sequence.without_pulse(pulse.name)
    power = _power(options.pump_level) / options.ratio
    shift = sequence.pulse("pump").shift_hz
    level = 2 / pi * asin(sqrt(power))
    return sequence.with_pulse("pump", level=options.pump_level).with_pulse(
        "read", laser="pump", level=level, shift_hz=shift, phase=0.0
    )


def g2_between_detectors(counts: Counts) -> tuple[float, float, float] | None:
    """Return unheralded g²(0) between both detectors in the pump gate: mode, 16 %, 84 %."""
    found = evaluate(counts).autocorrelation.get("pump")
    if found is None:
        return None
    posterior = pooled_g2([found])
    low, high = (float(q) for q in posterior.quantile([0.16, 0.84]))
    return float(posterior.mode), low, high


def _refuse_one_sided(clicks: Mapping[int, float], wanted: float) -> None:
    """Refuse to blind one detector with light that the other one does not see at all."""
    dim, bright = sorted(clicks, key=lambda detector: clicks[detector])
    if clicks[bright] > GLARING * wanted and clicks[dim] < NOTHING:
        message = (
            f"detector {dim} sees no laser light ({clicks[dim]:.1g} clicks per trial, detector "
            f"{bright} has {clicks[bright]:.2g}): latched or without bias, or its filters"
        )
        raise RuntimeError(message)


def _pump_clicks(session: Session, bright: PulseSequence) -> dict[int, float]:
    """Return clicks per trial in the pump gate by detector."""
    setting: dict[str, float | str] = {"procedure": NULL_TEST, "light": "look"}
    counts = session.clicks(bright, LOOK, setting)
    pump = counts.singles[counts.gates.names.index("pump")] / counts.trials.number
    return dict(zip(counts.gates.detectors, map(float, pump), strict=True))


def _cells(counts: WitnessCounts) -> tuple[tuple[int, float], tuple[int, float]]:
    """Return coincidences and accidentals of the low and of the high cells."""
    low, high = (
        (
            sum(counts.coincidences[pair] for pair in pairs),
            sum(accidentals(counts, pair) for pair in pairs),
        )
        for pairs in (SAME, CROSSED)
    )
    return low, high


def _enough(counts: Counts, options: NullTestOptions) -> bool:
    return min(expected for _, expected in _cells(witness_counts(counts))) >= options.accidentals
