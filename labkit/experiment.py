"""An experiment file, carried out at a station into a run folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from analysis.evaluation import Evaluation
from analysis.published import RIEDINGER_2018
from labkit.cleanup import also, said
from labkit.lab import open_lab
from labkit.plain import read_mapping, read_yaml
from labkit.procedures import PROCEDURES, Result
from labkit.procedures.repair import relock
from labkit.procedures.session import Advance, Say, Session
from labkit.procedures.switch_on import SwitchOnOptions, switch_on
from labkit.progress import Report
from labkit.report import write_report
from labkit.run import Block, RunFolder, create_run, open_run, recover_run, total_counts
from labkit.run.dataset import register_dataset
from labkit.run.lock import sole_use
from labkit.run.manifest import Status, drift_between, ended, write_whole
from labkit.sequence import PulseSequence
from labkit.sequence.pulses import riedinger2018_sequence
from labkit.station.config import read_station_file
from labkit.station.opening import Terminated, ending_on_sigterm

WATCHDOG_LOG = "watchdog.txt"
"""In the run folder; exists if the run's process died and the watchdog acted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What to do.

    Attributes
    ----------
    kind : str
        Name of a procedure.
    sequence : PulseSequence
    options : dict
        The procedure's options; checked when the experiment is read.
    comment : str
    compare : str
        Name of a published set of results to show beside ours, or "".
    """

    kind: str
    sequence: PulseSequence
    options: dict[str, object] = field(default_factory=dict)
    comment: str = ""
    compare: str = ""

    def to_dict(self) -> dict[str, object]:
        """Return plain types, as in an experiment file."""
        return {
            "kind": self.kind, "sequence": self.sequence.to_dict(), "options": self.options,
            "comment": self.comment, "compare": self.compare,
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A finished experiment: its run folder and what the procedure found."""

    folder: RunFolder
    result: Result


def experiment_path(experiment: str | Path) -> Path:
    """Return the path of an experiment file, or of the one that comes with labkit by name."""
    shipped = Path(__file__).parent / "experiments" / f"{experiment}.yaml"
    return shipped if shipped.is_file() else Path(experiment)


def read_experiment(path: str | Path) -> Experiment:
    """Read and check an experiment file, or the one that comes with labkit under this name.

    Raises
    ------
    ValueError
        If it cannot be read, names an unknown procedure, or options are not allowed.
    """
    path = experiment_path(path)
    return experiment_from_dict(read_yaml(path), str(path), folder=path.parent)


def experiment_from_dict(plain: object, where: str, folder: Path | None = None) -> Experiment:
    """Read the plain form; `where` names its origin in errors.

    A sequence that is a file's name is looked for in `folder`.
    """
    file = read_mapping(_File, plain, where)
    if file.kind not in PROCEDURES:
        message = f"{where}: kind must be one of {', '.join(PROCEDURES)}, but is {file.kind!r}"
        raise ValueError(message)
    options_of(file.kind, file.options, where)
    sequence = _sequence(file.sequence, where, folder)
    return Experiment(
        kind=file.kind,
        sequence=sequence,
        options=file.options,
        comment=file.comment,
        compare=_known_set(file.compare, where),
    )


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


def _known_set(name: str, where: str) -> str:
    if name and name not in RIEDINGER_2018:
        message = f"{where}: compare must be one of {', '.join(RIEDINGER_2018)}, but is {name!r}"
        raise ValueError(message)
    return name


def options_of(kind: str, plain: Mapping[str, object], where: str) -> Any:
    """Return the checked options of a procedure."""
    _, options = PROCEDURES[kind].load()
    return read_mapping(options, plain, f"{where}: options")


def run_experiment(
    experiment: Experiment,
    station: str | Path,
    out: str | Path,
    *,
    resume: str | Path | None = None,
    forced: tuple[str, ...] = (),
    say: Say | None = None,
    advance: Advance | None = None,
    report: Report | None = None,
) -> Finished:
    """Carry out an experiment; whatever ends it, the lab is safe and all data are on the disk.

    Parameters
    ----------
    experiment : Experiment
    station : path
    out : path
        Folder in which the run folder is made.
    resume : path, optional
        Run folder to go on with, of the same experiment; its blocks count.
    forced : tuple of str
        Interlocks to override.
    say, advance, report : callable, optional
        Told what happens; see `Session`.

    Returns
    -------
    Finished

    Raises
    ------
    ValueError
        If the run to be resumed is one of another experiment.
    RuntimeError
        If another process is measuring into it.
    """
    tell = say or (lambda _: None)
    if resume is None:
        folder = _new_folder(experiment, station, out)
    else:
        folder = open_run(Path(resume))
        _check_same(experiment, folder)
    tell(f"run folder: {folder.path}")
    ends: list[dict[str, object]] = []
    with sole_use(folder.path), ending_on_sigterm():
        try:
            blocks = [] if resume is None else _recover(folder, tell)
            session_number = folder.manifest().sessions
            log = folder.path / WATCHDOG_LOG
            with open_lab(station, forced=forced, log=log, session=session_number) as lab:
                session = Session(lab=lab, folder=folder, say=tell, blocks=blocks)
                if advance is not None:
                    session.advance = advance
                if report is not None:
                    session.report = report
                result = _carry_out(experiment, session, ends)
            _save_results(folder, session, result, experiment.compare)
        except BaseException as error:
            asked = isinstance(error, KeyboardInterrupt | Terminated)
            status: Status = "interrupted" if asked else "failed"
            reason = f"{type(error).__name__}: {said(error)}".rstrip(": ")
            also(error, lambda: _note_end(folder, status, reason, ends))
            raise
        _note_end(folder, "done", "", ends)
    return Finished(folder=folder, result=result)


def _new_folder(experiment: Experiment, station: str | Path, out: str | Path) -> RunFolder:
    return create_run(
        Path(out), experiment.kind, experiment.to_dict(), read_station_file(station).text,
        comment=experiment.comment, gates=experiment.sequence.gates,
    )  # fmt: skip


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


def _recover(folder: RunFolder, tell: Say) -> list[Block]:
    recovery = recover_run(folder)
    tell(f"resuming {folder.path.name}: {recovery}")
    manifest = folder.manifest()
    folder.write_manifest(
        replace(manifest, status="running", reason="", ended="", sessions=manifest.sessions + 1)
    )
    return recovery.blocks


def _carry_out(experiment: Experiment, session: Session, ends: list[dict[str, object]]) -> Result:
    """Do it; `ends` gets the settings at the end, as they are before all is made safe."""
    procedure, _ = PROCEDURES[experiment.kind].load()
    options = options_of(experiment.kind, experiment.options, "experiment")
    folder = session.folder
    before = session.lab.snapshot()
    folder.write_manifest(replace(folder.manifest(), snapshot_before=before))
    try:
        _prepare(experiment, session)
        return procedure(session, experiment.sequence, options)
    finally:
        ends.append(session.lab.snapshot())


def _note_end(
    folder: RunFolder, status: Status, reason: str, ends: list[dict[str, object]]
) -> None:
    manifest = ended(folder.manifest(), status, reason)
    for after in ends:
        drift = drift_between(manifest.snapshot_before, after)
        manifest = replace(manifest, snapshot_after=after, drift=drift)
    folder.write_manifest(manifest)


def _prepare(experiment: Experiment, session: Session) -> None:
    """Bring the lab from its safe state to where the procedure can begin."""
    needs = PROCEDURES[experiment.kind].needs
    if needs in ("light", "lock"):
        switch_on(session, experiment.sequence, SwitchOnOptions())
    if needs == "lock":
        relock(session, experiment.sequence)


def _save_results(folder: RunFolder, session: Session, result: Result, compare: str) -> None:
    write_whole(
        folder.path / "result.json",
        json.dumps(result.to_dict(), indent=1, allow_nan=False, default=str) + "\n",
    )
    figures = getattr(result, "figures", None)
    plot = getattr(result, "plot", None)
    if figures is None and plot is not None:
        pictures = {folder.manifest().kind: plot()}
    else:
        pictures = figures() if figures is not None else {}
    (folder.path / "figures").mkdir(exist_ok=True)
    for name, figure in pictures.items():
        figure.savefig(folder.path / "figures" / f"{name}.png", dpi=130)
    gates = session.blocks[-1].counts.gates if session.blocks else None
    same = [block for block in session.blocks if block.counts.gates == gates]
    counts = total_counts(same, same[-1].setting if same else None)
    if counts is not None:
        counts.to_xarray().to_netcdf(folder.results_path, engine="h5netcdf")
    evaluation = evaluation_of(result)
    if evaluation is not None:
        title = session.folder.manifest().comment or "Entanglement witness"
        published = RIEDINGER_2018[compare] if compare else None
        write_report(
            evaluation, folder.path, title=title, published=published, remarks=diagnosis_of(result)
        )
    register_dataset(folder, session.blocks)


def evaluation_of(result: Result) -> Evaluation | None:
    """Return the evaluation inside a procedure's result, if it has one."""
    witness = getattr(result, "witness", result)
    found = getattr(witness, "evaluation", None)
    return found if isinstance(found, Evaluation) else None


def diagnosis_of(result: Result) -> tuple[str, ...]:
    """Return what a procedure's result says is wrong with the set-up."""
    witness = getattr(result, "witness", result)
    return tuple(getattr(witness, "diagnosis", ()))
