"""What the exams' faults show by themselves: which ones are noticed, and which are named.

``python -m benchmarks exam`` gives every kind of fault to a bright virtual lab (twenty times the
paper's collection, no drifts), with drawn sizes: switched on, `splitting`, `stray_light`,
`null_test`, locked, 2 × 2 blocks of the witness, as the autopilot has them. What procedures,
`diagnose`, the verdict's conditions, wrong models (`labkit infer`) and `runs compare --twin`
say is compared with an untroubled lab's, whose counts and posterior are the reference, as
yesterday's would be. The table goes to ``docs/exam_table.inc``; ``--scale 2`` draws twice as many.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from analysis.counts import Counts
from analysis.evaluation import evaluate
from analysis.witness import Verdict
from benchmarks.inference_recovery import PRIORS
from benchmarks.timing import Row
from labkit.campaign import read_campaign
from labkit.experiment import read_experiment
from labkit.moved import compare_with
from labkit.procedures.lock import LockOptions, lock
from labkit.procedures.null_test import NullTestOptions, null_test
from labkit.procedures.session import Session
from labkit.procedures.splitting import SplittingOptions, splitting
from labkit.procedures.stray_light import StrayLightOptions, stray_light
from labkit.procedures.switch_on import SwitchOnOptions, switch_on
from labkit.procedures.witness import at_turn, witness_setting
from labkit.report.diagnostics import diagnose, diagnose_blocks
from labkit.run import Goal, create_run
from labkit.run.evidence import RunJudge
from labkit.run.journal import PI, THETA, TURN, sum_of
from labkit.station.config import read_station_file
from labkit.station.lab import Lab
from labkit.station.opening import open_instruments
from simulation.inference.checks import prior_conflicts
from simulation.inference.infer import infer
from simulation.inference.likelihood import Data
from simulation.inference.posterior import Posterior
from simulation.inference.prior import make_prior
from simulation.inference.sampling import NoMaximumError, find_maximum
from simulation.inference.wrong import wrong_models
from simulation.lab.exam import AILMENTS, draw_fault
from simulation.lab.world import World
from simulation.theory.dlcz import riedinger2018

TRIALS = 2_000_000
PHASE = 0.39
"""Of the read pulse, near the best one of the usual virtual lab, rad."""
TIMES = 4
"""An exam is begun at most."""

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
    "laser_noise": (),
    "mechanical_jitter_hz": ("mechanical",),
    "heating_curvature": ("heating",),
    "modulator_sign": ("serrodyne", "sign"),
    "afterpulse": ("afterpulse",),
    "recovery_time": ("blind",),
    "crosstalk": ("crosstalk",),
    "stray_light_hz": ("background",),
    "swapped_detectors": ("swapped",),
}
"""Words by which a sentence names what is wrong.

None name a laser's phase noise: like more heating by its pulse it puts uncorrelated photons on the
line, and no setting of an exam tells one from the other.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sat:
    """What a lab with a fault said of itself.

    Attributes
    ----------
    fault : dict
    sentences : tuple of str
        By the procedures' refusals and by `diagnose`, those of an untroubled lab left out.
    inferred : tuple of str
        By the wrong models of this lab's own data, and by what has moved since the reference's.
    """

    fault: dict[str, object]
    sentences: tuple[str, ...]
    inferred: tuple[str, ...] = ()

    @property
    def noticed(self) -> bool:
        """Whether anything was said."""
        return bool(self.sentences or self.inferred)

    @property
    def diagnosed(self) -> bool:
        """Whether a sentence that needs no inference names what is wrong."""
        return self._named_in(self.sentences)

    @property
    def named(self) -> bool:
        """Whether any sentence names what is wrong."""
        return self._named_in(self.sentences + self.inferred)

    def _named_in(self, sentences: tuple[str, ...]) -> bool:
        words = NAMES[str(self.fault["kind"])]
        return any(word in text for text in sentences for word in words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Yesterday:
    """What an untroubled lab left: counts of its witness at θ, and what was inferred."""

    counts: Counts
    posterior: Posterior


def run(scale: float) -> Iterator[Row]:
    """Sit every exam; give the shares as rows."""
    each = max(1, round(EACH * scale))
    begun = perf_counter()
    yesterday = reference()
    usual, _ = patiently(None, yesterday)
    print(f"untroubled: {usual}, {perf_counter() - begun:.0f} s", flush=True)
    sat = []
    for kind in AILMENTS:
        for seed in range(each):
            fault = draw_fault(seed, kind)
            said, inferred = patiently(fault, yesterday)
            new = tuple(text for text in said if text not in usual)
            sat.append(Sat(fault=fault, sentences=new, inferred=inferred))
            print(f"{fault}: {'; '.join((*new, *inferred)) or 'nothing'}", flush=True)
    target = Path(__file__).parents[1] / "docs" / "exam_table.inc"
    target.write_text(table(sat), encoding="utf-8")
    for what, number, least in (
        ("faults noticed", sum(one.noticed for one in sat), 0.6),
        ("faults named without inference", sum(one.diagnosed for one in sat), 0.2),
        ("faults named", sum(one.named for one in sat), 0.5),
    ):
        yield Row(name=what, ratio=number / len(sat), target=least, detail=f"of {len(sat)} exams")


def reference() -> Yesterday:
    """Measure in an untroubled lab, and infer.

    Raises
    ------
    RuntimeError
        If that cannot be done.
    """
    with bench(3, None) as session:
        straight, _ = measured(session, None)
        if straight is None:
            message = "the untroubled lab could not be measured; try `labkit run autopilot`"
            raise RuntimeError(message)
        campaign, _ = read_campaign([session.folder.path], riedinger2018())
    posterior = infer(campaign, riedinger2018(), changes=PRIORS)
    return Yesterday(counts=straight, posterior=posterior)


def patiently(
    fault: dict[str, object] | None, yesterday: Yesterday
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Sit an exam, again if an instrument did not answer in time on a crowded machine."""
    for _ in range(TIMES - 1):
        try:
            return sit(fault, yesterday)
        except TimeoutError as late:
            print(f"once more: {late.args[0]}", flush=True)
    return sit(fault, yesterday)


def sit(
    fault: dict[str, object] | None, yesterday: Yesterday
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Measure in a lab with a fault; return what is said of it, without and with inference."""
    with bench(4, fault) as session:
        try:
            _, said = measured(session, yesterday.counts)
        except (RuntimeError, ValueError) as refused:
            return (f"{type(refused).__name__}: {refused}",), ()
        try:
            return said, tuple(_inferred(session, yesterday.posterior))
        except (NoMaximumError, ValueError) as refused:
            return said, (f"{type(refused).__name__}: {refused}",)


@contextmanager
def bench(seed: int, fault: dict[str, object] | None) -> Iterator[Session]:
    """Open a bright virtual lab, with a fault or without one."""
    file, experiment = read_station_file("virtual"), read_experiment("autopilot")
    faults = [] if fault is None else [fault]
    with (
        TemporaryDirectory() as place,
        World.start(seed=seed, parameters=BRIGHT, faults=faults) as world,
        open_instruments(file, {**world.addresses, **world.objects}) as instruments,
    ):
        played = experiment.sequence.with_read_phase(PHASE)
        run = create_run(
            Path(place), "autopilot", experiment.to_dict() | {"sequence": played.to_dict()},
            file.text, gates=played.gates,
        )  # fmt: skip
        yield Session(lab=Lab(file, instruments), folder=run)


def measured(session: Session, reference: Counts | None) -> tuple[Counts | None, tuple[str, ...]]:
    """Take the procedures in turn; return the counts at θ and all that is said."""
    sequence = read_experiment("autopilot").sequence.with_read_phase(PHASE)
    switch_on(session, sequence, SwitchOnOptions())
    splitting(session, sequence, SplittingOptions(trials=TRIALS, pump_trials=0))
    stray_light(session, sequence, StrayLightOptions(trials=2 * TRIALS, bright_trials=100_000))
    null = null_test(session, sequence, NullTestOptions(trials=10 * TRIALS))
    lock(session, sequence, LockOptions())
    bad: list[str] = []
    for turn in (THETA, PI, PI, THETA):
        block = session.measure(at_turn(sequence, turn), TRIALS, witness_setting(sequence, turn))
        if not block.good:
            bad.append(block.reason)
    done = replace(session.folder.manifest(), snapshot_after=session.lab.snapshot())
    session.folder.write_manifest(done)
    found = RunJudge(session.folder.path, Goal(trials=4 * TRIALS)).evaluate(session.blocks)
    straight = sum_of([b.held for b in session.blocks if b.setting.get(TURN) == THETA])
    if null.condition.met is False:
        bad.append(f"null_test: {null.condition.problem or null.condition.demand}")
    bad += [f"null_test: {text}" for text in null.remarks]
    if found is None or straight is None:
        return None, tuple(bad)
    mine = [block for block in session.blocks if TURN in block.setting]
    said = [
        *diagnose_blocks(found, mine, sequence),
        *diagnose(evaluate(straight), sequence=sequence, reference=reference),
        *_unmet(found.verdict),
    ]
    return straight, (*bad, *dict.fromkeys(said))


def _inferred(session: Session, yesterday: Posterior) -> Iterator[str]:
    """Say which wrong models explain this lab's data, and what has moved since yesterday."""
    campaign, _ = read_campaign([session.folder.path], riedinger2018())
    prior = make_prior(campaign, riedinger2018(), changes=PRIORS)
    maximum = find_maximum(Data.of(campaign), prior)
    for one in wrong_models(campaign, maximum):
        yield f"infer: {one}"
    yield from (f"infer: {text}" for text in prior_conflicts(maximum))
    moved = compare_with(session.folder, yesterday).lab
    if moved.moved:
        yield from (f"compare: {text}" for text in moved.sentences())


def _unmet(verdict: Verdict | None) -> Iterator[str]:
    if verdict is not None:
        for name, one in verdict.conditions.items():
            if one.met is False:
                yield f"condition {name}: {one.problem or one.demand}"


def table(sat: list[Sat]) -> str:
    """Return the shares by kind, and what is said first, as Markdown."""
    lines = [
        "| fault | exams | noticed | named without inference | named | what names it |",
        "|---|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(str(one.fault["kind"]) for one in sat):
        mine = [one for one in sat if one.fault["kind"] == kind]
        lines.append(f"| {kind} | {_shares(mine)} | {_telling(mine, kind)} |")
    lines.append(f"| **all** | {_shares(sat)} | |")
    return "\n".join(lines) + "\n"


def _shares(sat: list[Sat]) -> str:
    parts = ([one.noticed for one in sat], [one.diagnosed for one in sat],
             [one.named for one in sat])  # fmt: skip
    return " | ".join(str(number) for number in (len(sat), *map(sum, parts)))


def _telling(sat: list[Sat], kind: str) -> str:
    """Return the first sentence that names the fault, or the first of all, shortened."""
    said = [text for one in sat for text in (*one.sentences, *one.inferred)]
    names = [text for text in said if any(word in text for word in NAMES[kind])]
    first = " ".join(next(iter(names or said), "nothing").split()).replace("|", "/")
    return first if len(first) <= 130 else f"{first[:130].rsplit(' ', 1)[0]} …"
