"""A block's own record: what it was meant to be, how the lab was through it, how it ended."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from analysis.gates import GateSet
from analysis.yamlfile import read_mapping
from labkit.run.lines import append_lines, framed, read_lines
from labkit.run.parts import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What a block must hold to count; written down before it is recorded.

    Attributes
    ----------
    trials : int or None
        Meant to be recorded; None if that is not watched.
    locked : bool
        Whether the interferometer must stay locked, and the lasers where they were.
    phase_noise : float
        Largest allowed, rad rms.
    laser_hz : dict of str to float
        Where the lasers were when the filters were tuned for them.
    hop_hz : float
        How far from there they may be.
    rates : dict of str to list of float
        Expected clicks per trial by gate, for each detector; gates that are not named are not
        watched.
    rate_sigmas : dict of str to list of float
        Standard deviations of these.
    rate_change : float
        Relative change of a rate that is allowed beyond noise.
    calibrated, calibrated_sigmas : dict of str to list of float
        The same by calibration or by the experiment: whatever the blocks before were like.
    calibrated_change : float
        Relative difference from these that is allowed beyond noise.
    bounds : dict of str to tuple of float
        Between what a monitor must be in every reading: temperature (K), pump_power (W), …
    steady : bool
        Whether its click rates must be the same through all of it.
    lit : tuple of str
        Gates in which every detector must have clicks.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    trials: int | None = None
    locked: bool = False
    phase_noise: float = 0.3
    laser_hz: dict[str, float] = field(default_factory=dict)
    hop_hz: float = 100e6
    rates: dict[str, list[float]] = field(default_factory=dict)
    rate_sigmas: dict[str, list[float]] = field(default_factory=dict)
    rate_change: float = 0.2
    calibrated: dict[str, list[float]] = field(default_factory=dict)
    calibrated_sigmas: dict[str, list[float]] = field(default_factory=dict)
    calibrated_change: float = 0.3
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)
    steady: bool = False
    lit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPlan:
    """What a block is for.

    Attributes
    ----------
    setting : dict
    gates : GateSet
    demands : Demands
    started : str
        UTC, ISO 8601.
    """

    setting: dict[str, float | str]
    gates: GateSet
    demands: Demands
    started: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockOutcome:
    """What the recording of a block says of itself.

    Attributes
    ----------
    problems : tuple of str
        What spoils it: tagger flags, stopped lasers, violated interlocks.
    notes : tuple of str
        What happened and spoils nothing.
    whole : bool
        Whether it ran for the time it was meant to; the user may end it before.
    monitors : dict of str to float
        As read at its end.
    """

    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    whole: bool = True
    monitors: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRecord:
    """A block's record as read back.

    Attributes
    ----------
    plan : BlockPlan
    samples : list of dict
        Readings through the block; ``t`` is the time since its start by the tagger's clock, s.
    outcome : BlockOutcome or None
        None if the process died before the recording had ended.
    damage : str
        What is wrong with the file, or "".
    spans : list of Span
        When something was where, if it was moved while the block was recorded.
    """

    plan: BlockPlan
    samples: list[dict[str, float]]
    outcome: BlockOutcome | None
    damage: str = ""
    spans: list[Span] = field(default_factory=list)

    def monitors(self) -> dict[str, float]:
        """Return the readings at the end, with the worst of those on which the block hangs."""
        found = dict(self.samples[-1]) if self.samples else {}
        found.pop("t", None)
        found |= {} if self.outcome is None else self.outcome.monitors
        locked = [sample["locked"] for sample in self.samples if "locked" in sample]
        if locked and "locked" in found:
            found["locked"] = min(found["locked"], *locked)
        return found


class RecordWriter:
    """Writes a block's record while the block is taken.

    The plan is on the disk before the recording begins. Samples and outcome survive the death of
    the process; who takes the block brings them to the disk before it counts.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    plan : BlockPlan
    """

    def __init__(self, path: Path, plan: BlockPlan) -> None:
        self.path = path
        path.unlink(missing_ok=True)
        plain = {
            "kind": "plan", "setting": plan.setting, "gates": plan.gates.to_dict(),
            "demands": asdict(plan.demands), "started": plan.started,
        }  # fmt: skip
        append_lines(path, framed(plain), durable=True)

    def sample(self, seconds: float, readings: Mapping[str, float]) -> None:
        """Note readings taken so many seconds after the block's start."""
        plain = {"kind": "sample", "t": round(seconds, 3), **readings}
        append_lines(self.path, framed(plain), durable=False)

    def part(self, span: Span) -> None:
        """Note how long something that is moved through the block stood where."""
        plain = {
            "kind": "part", "setting": span.setting, "begin": round(span.begin, 6),
            "end": round(span.end, 6),
        }  # fmt: skip
        append_lines(self.path, framed(plain), durable=False)

    def end(self, outcome: BlockOutcome) -> None:
        """Note how the recording ended."""
        append_lines(self.path, framed({"kind": "end", **asdict(outcome)}), durable=False)


def read_record(path: Path) -> BlockRecord:
    """Read a block's record, also one that its process did not finish.

    Raises
    ------
    ValueError
        If its first line, the plan, is damaged or missing.
    """
    plan: BlockPlan | None = None
    samples: list[dict[str, float]] = []
    spans: list[Span] = []
    outcome: BlockOutcome | None = None
    damage = ""
    for line in read_lines(path):
        if line.state == "damaged":
            damage = f"line {line.number} of its record is damaged"
        if line.state != "whole":
            continue
        kind = line.plain.pop("kind", "")
        if kind == "plan":
            plan = _plan(line.plain, str(path))
        elif kind == "sample":
            samples.append(line.plain)
        elif kind == "part":
            spans.append(_span(line.plain, str(path)))
        elif kind == "end":
            outcome = read_mapping(BlockOutcome, line.plain, str(path))
    if plan is None:
        message = f"{path}: must begin with the plan of its block, but that is missing or damaged"
        raise ValueError(message)
    return BlockRecord(plan=plan, samples=samples, outcome=outcome, damage=damage, spans=spans)


def _span(plain: dict[str, Any], where: str) -> Span:
    try:
        return Span(dict(plain["setting"]), float(plain["begin"]), float(plain["end"]))
    except (KeyError, TypeError, ValueError) as error:
        message = f"{where}: a part of the block is not as it was written: {error}"
        raise ValueError(message) from None


def _plan(plain: dict[str, Any], where: str) -> BlockPlan:
    try:
        return BlockPlan(
            setting=plain["setting"], gates=GateSet.from_dict(plain["gates"], where=where),
            demands=read_mapping(Demands, plain["demands"], where), started=plain["started"],
        )  # fmt: skip
    except KeyError as error:
        message = f"{where}: the plan of the block lacks {error}"
        raise ValueError(message) from None
