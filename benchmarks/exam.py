"""What the exams' faults show by themselves: which ones are noticed, and which are named.

``python -m benchmarks exam`` gives every kind of fault to a bright virtual lab (twenty times the
paper's collection, no drifts), with drawn sizes: switched on, `splitting`, locked, 2 × 2
blocks of the witness. What procedures, `diagnose` and the verdict's conditions say is
compared with an untroubled lab's, whose counts are the reference, as yesterday's would be. It
writes the table ``docs/exam_table.inc``; ``--scale 2`` draws twice as many.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from analysis.counts import Counts
from analysis.evaluation import evaluate
from analysis.witness import Verdict
from benchmarks.timing import Row
from labkit.experiment import read_experiment
from labkit.procedures.lock import LockOptions, lock
from labkit.procedures.session import Session
from labkit.procedures.splitting import SplittingOptions, splitting
from labkit.procedures.switch_on import SwitchOnOptions, switch_on
from labkit.procedures.witness import at_turn, witness_setting
from labkit.report.diagnostics import diagnose, diagnose_blocks
from labkit.run import Goal, create_run
from labkit.run.evidence import RunJudge
from labkit.run.journal import PI, THETA, TURN, sum_of
from labkit.sequence import PulseSequence
from labkit.station.config import read_station_file
from labkit.station.lab import Lab
from labkit.station.opening import open_instruments
from simulation.lab.exam import AILMENTS, draw_fault
from simulation.lab.world import World

TRIALS = 2_000_000
EACH = 3
"""Faults drawn of a kind."""

BRIGHT = {
    "arm_output": (0.88, 0.63), "laser_drift_hz": 0.0, "filter_drift_hz": 0.0, "phase_drift": 0.0,
    "phase_drift_rate": 0.0,
}  # fmt: skip

NAMES: dict[str, tuple[str, ...]] = {
    "filter_drift": ("filter",),
    "mode_hop": ("laser", "prefilter"),
    "latched_detector": ("latched",),
    "warm_cryostat": ("temperature", "warm"),
    "splitting": ("coupler", "combiner"),
    "arm_transmission": ("arm", "fluxes"),
    "laser_gain": ("power",),
    "polarisation_angle": ("polarisation",),
    "laser_noise": ("drive light", "noise"),
    "mechanical_jitter_hz": ("mechanical",),
    "heating_curvature": ("heating",),
    "modulator_sign": ("serrodyne", "sign"),
    "afterpulse": ("afterpulse",),
    "recovery_time": ("blind",),
    "crosstalk": ("crosstalk",),
    "stray_light_hz": ("background",),
    "swapped_detectors": ("swapped",),
}
"""Words by which a sentence names what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sat:
    """What a lab with a fault said of itself.

    Attributes
    ----------
    fault : dict
    sentences : tuple of str
        By the procedures' refusals and by `diagnose`, those of an untroubled lab left out.
    """

    fault: dict[str, object]
    sentences: tuple[str, ...]

    @property
    def noticed(self) -> bool:
        """Whether anything was said."""
        return bool(self.sentences)

    @property
    def named(self) -> bool:
        """Whether a sentence names what is wrong."""
        words = NAMES[str(self.fault["kind"])]
        return any(word in text for text in self.sentences for word in words)


def run(scale: float) -> Iterator[Row]:
    """Sit every exam; give the shares as rows."""
    each = max(1, round(EACH * scale))
    begun = perf_counter()
    healthy, _ = sit(None, None)
    if healthy is None:
        message = "the untroubled lab could not be measured; try `labkit run autopilot`"
        raise RuntimeError(message)
    _, usual = sit(None, healthy)
    print(f"untroubled: {usual}, {perf_counter() - begun:.0f} s", flush=True)
    sat = []
    for kind in AILMENTS:
        for seed in range(each):
            fault = draw_fault(seed, kind)
            _, said = sit(fault, healthy)
            new = tuple(text for text in said if text not in usual)
            sat.append(Sat(fault=fault, sentences=new))
            print(f"{fault}: {'; '.join(new) or 'nothing'}", flush=True)
    target = Path(__file__).parents[1] / "docs" / "exam_table.inc"
    target.write_text(table(sat), encoding="utf-8")
    for what, number, least in (
        ("faults noticed", sum(one.noticed for one in sat), 0.6),
        ("faults named", sum(one.named for one in sat), 0.2),
    ):
        yield Row(name=what, ratio=number / len(sat), target=least, detail=f"of {len(sat)} exams")


def sit(
    fault: dict[str, object] | None, reference: Counts | None
) -> tuple[Counts | None, tuple[str, ...]]:
    """Measure a short witness in a lab with a fault; return counts and what is said of it."""
    file, experiment = read_station_file("virtual"), read_experiment("autopilot")
    faults = [] if fault is None else [fault]
    with (
        TemporaryDirectory() as place,
        World.start(seed=3, parameters=BRIGHT, faults=faults) as world,
        open_instruments(file, {**world.addresses, **world.objects}) as instruments,
    ):
        sequence = experiment.sequence
        run = create_run(Path(place), "witness", experiment.to_dict(), file.text,
                         gates=sequence.gates)  # fmt: skip
        session = Session(lab=Lab(file, instruments), folder=run)
        try:
            return _measured(session, sequence.with_read_phase(0.39), reference)
        except (RuntimeError, ValueError) as refused:
            return None, (f"{type(refused).__name__}: {refused}",)


def _measured(
    session: Session, sequence: PulseSequence, reference: Counts | None
) -> tuple[Counts, tuple[str, ...]]:
    """Take the procedures in turn; return the counts at θ and all that is said."""
    switch_on(session, sequence, SwitchOnOptions())
    splitting(session, sequence, SplittingOptions(trials=TRIALS, pump_trials=0))
    lock(session, sequence, LockOptions())
    bad: list[str] = []
    for turn in (THETA, PI, PI, THETA):
        block = session.measure(at_turn(sequence, turn), TRIALS, witness_setting(sequence, turn))
        if not block.good:
            bad.append(block.reason)
    found = RunJudge(session.folder.path, Goal(trials=4 * TRIALS)).evaluate(session.blocks)
    straight = sum_of([b.held for b in session.blocks if b.setting.get(TURN) == THETA])
    if found is None or straight is None:
        return session.blocks[-1].counts, tuple(bad)
    mine = [block for block in session.blocks if TURN in block.setting]
    said = [
        *diagnose_blocks(found, mine, sequence),
        *diagnose(evaluate(straight), sequence=sequence, reference=reference),
        *_unmet(found.verdict),
    ]
    return straight, (*bad, *dict.fromkeys(said))


def _unmet(verdict: Verdict | None) -> Iterator[str]:
    if verdict is not None:
        for name, one in verdict.conditions.items():
            if one.met is False:
                yield f"condition {name}: {one.problem or one.demand}"


def table(sat: list[Sat]) -> str:
    """Return the shares by kind, and what is said first, as Markdown."""
    lines = ["| fault | exams | noticed | named | what is said first |", "|---|---|---|---|---|"]
    for kind in dict.fromkeys(str(one.fault["kind"]) for one in sat):
        mine = [one for one in sat if one.fault["kind"] == kind]
        first = next((one.sentences[0] for one in mine if one.sentences), "nothing")
        first = " ".join(first.split()).replace("|", "/")
        short = first if len(first) <= 110 else f"{first[:110].rsplit(' ', 1)[0]} …"
        noticed, named = sum(one.noticed for one in mine), sum(one.named for one in mine)
        lines.append(f"| {kind} | {len(mine)} | {noticed} | {named} | {short} |")
    noticed, named = sum(one.noticed for one in sat), sum(one.named for one in sat)
    lines.append(f"| **all** | {len(sat)} | {noticed} | {named} | |")
    return "\n".join(lines) + "\n"
