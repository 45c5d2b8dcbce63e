"""An experiment file, carried out at a station into a run folder: one path through labkit."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import InitVar, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from analysis.published import RIEDINGER_2018
from analysis.yamlfile import read_mapping, read_yaml
from labkit.companion import Companion
from labkit.compiler import Programs, compile_sequence
from labkit.procedures import PROCEDURES, Result, options_of
from labkit.procedures.repair import relock
from labkit.procedures.session import Session
from labkit.procedures.switch_on import SwitchOnOptions, switch_on
from labkit.run import Block, RunFolder, create_run, open_run, recover_run
from labkit.run.events import EventLog, alarmed
from labkit.run.progress import Narrator, Step, Watcher
from labkit.run.results import (
    Ending,
    attempt,
    noting_end,
    registered,
    save_report,
    save_results,
    sealed,
)
from labkit.run.stopping import hearing_stop, stoppable
from labkit.sequence import PulseSequence
from labkit.sequence.pulses import riedinger2018_sequence
from labkit.station.config import StationFile, read_station_file, require_roles
from labkit.station.ending import ending_on_sigterm, stop_if_asked, stopping_once
from labkit.station.interlocks import check_forced
from labkit.station.lab import WATCHDOG_LOG, Lab, open_lab
from labkit.station.safety import SafetyReport
from labkit.station.watchdog import Heart


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What to do.

    Attributes
    ----------
    kind : str
        Name of a procedure.
    sequence : PulseSequence
    options : dict
        The procedure's options, as in an experiment file.
    checked : object
        The same as the procedure takes them.
    comment : str
    compare : str
        Name of a published set of results to show beside ours, or "".
    noise_budget : bool
        Whether to learn at the end what limits R_m.
    operator, sample : str
        Who measures, and what.
    tags : tuple of str
        Words to find the run by.
    where : str
        Names the experiment's origin in errors.

    Raises
    ------
    ValueError
        If the procedure is not known, or an option is not allowed.
    """

    kind: str
    sequence: PulseSequence
    options: dict[str, object] = field(default_factory=dict)
    comment: str = ""
    compare: str = ""
    noise_budget: bool = False
    operator: str = ""
    sample: str = ""
    tags: tuple[str, ...] = ()
    checked: Any = field(init=False, repr=False, compare=False)
    where: InitVar[str] = "experiment"

    def __post_init__(self, where: str) -> None:
        if self.kind not in PROCEDURES:
            message = f"{where}: kind must be one of {', '.join(PROCEDURES)}, but is {self.kind!r}"
            raise ValueError(message)
        object.__setattr__(self, "checked", options_of(self.kind, self.options, where))
        if self.compare and self.compare not in RIEDINGER_2018:
            known = ", ".join(RIEDINGER_2018)
            message = f"{where}: compare must be one of {known}, but is {self.compare!r}"
            raise ValueError(message)

    def to_dict(self) -> dict[str, object]:
        """Return plain types, as in an experiment file."""
        return {
            "kind": self.kind, "sequence": self.sequence.to_dict(), "options": self.options,
            "comment": self.comment, "compare": self.compare, "noise_budget": self.noise_budget,
            "operator": self.operator, "sample": self.sample, "tags": list(self.tags),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """The plain form."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: str
    sequence: str | dict[str, Any] = "riedinger2018"
    options: dict[str, Any] = field(default_factory=dict)
    comment: str = ""
    compare: str = ""
    noise_budget: bool = False
    operator: str = ""
    sample: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A finished experiment: its run folder, what the procedure found, and who is not safe."""

    folder: RunFolder
    result: Result
    unsafe: dict[str, str] = field(default_factory=dict)


EXPERIMENTS = Path(__file__).parent / "experiments"
"""The experiment files that come with labkit."""


def experiment_path(experiment: str | Path) -> Path:
    """Return the path of an experiment file, or of the one that comes with labkit by name."""
    shipped = EXPERIMENTS / f"{experiment}.yaml"
    return shipped if shipped.is_file() else Path(experiment)


def read_experiment(path: str | Path) -> Experiment:
    """Read and check an experiment file, or the one that comes with labkit under this name.

    Raises
    ------
    ValueError
        If it cannot be read, names an unknown procedure, or options are not allowed.
    """
    path = experiment_path(path)
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in EXPERIMENTS.glob("*.yaml")))
        message = f"{path}: is neither a file nor an experiment of labkit's, which are {known}"
        raise ValueError(message)
    return experiment_from_dict(read_yaml(path), str(path), folder=path.parent)


def experiment_from_dict(plain: object, where: str, folder: Path | None = None) -> Experiment:
    """Read the plain form; `where` names its origin in errors.

    A sequence that is a file's name is looked for in `folder`.
    """
    file = read_mapping(_File, plain, where)
    return Experiment(
        kind=file.kind, sequence=_sequence(file.sequence, where, folder), options=file.options,
        comment=file.comment, compare=file.compare, noise_budget=file.noise_budget,
        operator=file.operator, sample=file.sample, tags=file.tags, where=where,
    )  # fmt: skip


def _sequence(plain: str | dict[str, Any], where: str, folder: Path | None) -> PulseSequence:
    if plain == "riedinger2018":
        return riedinger2018_sequence()
    if isinstance(plain, dict):
        return PulseSequence.from_dict(plain, where=f"{where}: sequence")
    if folder is not None and plain.endswith(".yaml"):
        return PulseSequence.from_yaml(folder / plain)
    message = (
        f"{where}: sequence must be riedinger2018, a mapping, or the name of a YAML file beside "
        f"this one, but is {plain!r}"
    )
    raise ValueError(message)


def run_experiment(
    experiment: Experiment,
    station: str | Path | StationFile,
    out: str | Path,
    *,
    resume: str | Path | None = None,
    forced: tuple[str, ...] = (),
    watcher: Watcher | None = None,
) -> Finished:
    """Carry out an experiment; whatever ends it, the lab is safe and all data are on the disk.

    Parameters
    ----------
    experiment : Experiment
    station : str, Path or StationFile
        Read once, before anything else: the text kept in the manifest is the one that was used.
    out : path
        Folder in which the run folder is made.
    resume : path, optional
        Run folder to go on with, of the same experiment; its blocks count.
    forced : tuple of str
        Interlocks to override.
    watcher : Watcher, optional
        Told what happens.

    Returns
    -------
    Finished

    Raises
    ------
    TimingError
        If the sequence breaks a timing rule of the station; no instrument is touched.
    ValueError
        If the run to be resumed is one of another experiment, `forced` names no interlock, or the
        station lacks a role.
    RuntimeError
        If another process is measuring into it.
    """
    watcher = watcher or Watcher()
    file = read_station_file(station)
    programs = _check_before(experiment, file, forced)
    if resume is None:
        folder = create_run(
            Path(out), experiment.kind, experiment.to_dict(), file.text,
            comment=experiment.comment, gates=experiment.sequence.gates,
            operator=experiment.operator, sample=experiment.sample, tags=experiment.tags,
        )  # fmt: skip
    else:
        folder = open_run(Path(resume))
        folder.refuse_replay()
        _check_same(experiment, folder)
    watcher.opened(folder.path)
    watcher = log = EventLog(watcher, folder.path)
    with (
        stopping_once(),
        stoppable(folder.path),
        sealed(folder, watcher.say),
        alarmed(log, file.config.notify, folder.path.name) as watcher,
        ExitStack() as beside,
    ):
        drawer = learner = learned = None
        with noting_end(folder) as ending, registered(folder, watcher.say):
            blocks = [] if resume is None else _recover(folder, watcher)
            number = folder.manifest().sessions
            with (
                _lab(
                    file, folder, watcher, ending, forced=forced, session=number, programs=programs
                ) as lab,
                log.settings(lab.instruments.values()),
            ):
                session = Session(lab=lab, folder=folder, watcher=watcher, blocks=blocks)
                with ending.snapshots(lab):
                    _prepare(experiment, session)
                    ending.begin(lab)  # what the working point is made of is no drift
                    procedure, _ = PROCEDURES[experiment.kind].load()
                    if experiment.noise_budget:
                        drawer = beside.enter_context(Companion(folder, "draw"))
                        learner = beside.enter_context(Companion(folder, "learn"))
                        session.show = drawer.show
                    result = procedure(session, experiment.sequence, experiment.checked)
                    if learner is not None and result.evaluation is not None:
                        learned = beside.enter_context(_learning(learner, folder, watcher))
                    if drawer is not None:
                        drawer.show(experiment.kind, result)
                        drawer.prepare_report()
                watcher.step(_ending(1, "instruments to their safe state"))
            watcher.step(_ending(2, "results"))
            save_results(folder, session.blocks, result, watcher.say)
            stop_if_asked()  # a library may have swallowed it
        watcher.step(_ending(3, "figures and report"))
        found = (folder, result, watcher.say, ending.unsafe, learned)
        if drawer is None:
            save_report(*found)
        else:
            save_report(*found, drawer.report, drawer.drawn)
        stop_if_asked()
    return Finished(folder=folder, result=result, unsafe=ending.unsafe)


def _ending(number: int, what: str) -> tuple[Step]:
    return (Step(procedure="ending", number=number, of=3, what=what),)


@contextmanager
def open_session(
    station: str | Path | StationFile,
    out: str | Path,
    sequence: PulseSequence,
    *,
    watcher: Watcher | None = None,
) -> Iterator[Session]:
    """Open a lab and a run folder of the kind ``session``, to work by hand; at the end all is safe.

    As in `run_experiment`, a watchdog makes it safe if the kernel dies, and the manifest keeps the
    settings at both ends and how it ended.

    Nothing is switched on: begin with `switch_on`.

    Parameters
    ----------
    station : str, Path or StationFile
        Station file, or ``virtual``.
    out : str or Path
        Where the run folder is made.
    sequence : PulseSequence
        Written into the manifest.
    watcher : Watcher, optional
        Told what happens; by default every step is printed.
    """
    file = read_station_file(station)
    folder = create_run(Path(out), "session", sequence.to_dict(), file.text, gates=sequence.gates)
    log = EventLog(watcher or Narrator(), folder.path)
    with (
        ending_on_sigterm(),
        stoppable(folder.path),
        sealed(folder, log.say),
        alarmed(log, file.config.notify, folder.path.name) as told,
        noting_end(folder) as ending,
        _lab(file, folder, told, ending) as lab,
        ending.snapshots(lab),
        log.settings(lab.instruments.values()),
    ):
        yield Session(lab=lab, folder=folder, watcher=told)


@contextmanager
def _lab(
    file: StationFile, folder: RunFolder, watcher: Watcher, ending: Ending, **options: Any
) -> Iterator[Lab]:
    """Open the lab for a run: with its watchdog, its alarms, and an ear for `stop_run`."""

    def told(report: SafetyReport) -> None:
        ending.left(report)
        if not report.all_safe:
            watcher.left_unsafe(report.failed)

    heart = Heart(tasks=[hearing_stop(folder.path)], say=watcher.alarm, note=watcher.say)
    with open_lab(
        file, log=folder.path / WATCHDOG_LOG, tell=watcher.say, alarm=watcher.alarm, told=told,
        heart=heart, **options,
    ) as lab:  # fmt: skip
        yield lab


def _check_before(experiment: Experiment, file: StationFile, forced: tuple[str, ...]) -> Programs:
    """Refuse what can be refused before a run folder is made and any instrument is touched.

    Returns the compiled sequence.
    """
    config = file.config
    require_roles(file, getattr(experiment.checked, "roles", ()))
    check_forced(config.interlocks, forced)
    return compile_sequence(experiment.sequence, config.hardware, config.calibration)


def _check_same(experiment: Experiment, folder: RunFolder) -> None:
    """Refuse to add to a run what is not the same experiment; the comment may differ."""
    was = folder.manifest().experiment
    now = json.loads(json.dumps(experiment.to_dict()))
    different = [name for name in ("kind", "sequence", "options") if was.get(name) != now[name]]
    if different:
        message = (
            f"{folder.path}: must be resumed with the experiment it began with, but "
            f"{' and '.join(different)} differ; start a new run, or use the same experiment file"
        )
        raise ValueError(message)


def _recover(folder: RunFolder, watcher: Watcher) -> list[Block]:
    recovery = recover_run(folder)
    watcher.say(f"resuming {folder.path.name}: {recovery}")
    manifest = folder.manifest()
    folder.write_manifest(
        replace(manifest, status="running", reason="", ended="", sessions=manifest.sessions + 1)
    )
    return recovery.blocks


@contextmanager
def _learning(
    companion: Companion, folder: RunFolder, watcher: Watcher
) -> Iterator[Callable[[], object]]:
    """Learn what limits R_m beside what happens in the block; yields what waits for the end."""
    watcher.say("learning what limits R_m")
    begun = attempt(folder, "noise budget", companion.begin, watcher.say)

    def say() -> None:
        try:
            watcher.say(companion.wait())
        except ValueError as error:
            watcher.say(f"no noise budget: {error}")

    @cache
    def end() -> bool:
        return begun and attempt(folder, "noise budget", say, watcher.say)

    yield end
    if end():  # also where no report has waited for it
        attempt(folder, "noise budget", companion.finish, watcher.say)


def _prepare(experiment: Experiment, session: Session) -> None:
    """Bring the lab from its safe state to where the procedure can begin."""
    needs = PROCEDURES[experiment.kind].needs
    if needs in ("light", "lock"):
        switch_on(session, experiment.sequence, SwitchOnOptions())
    if needs == "lock":
        relock(session, experiment.sequence)
