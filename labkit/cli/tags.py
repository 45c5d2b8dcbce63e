"""``labkit analyse``, ``witness``, ``info``, ``gates``: from tags to results."""

from functools import partial
from math import inf, isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from labkit.cli.output import check_folder, print_json, print_lines, progress_bar, remarks
from labkit.cli.scale import Scheduler, Workers, fetched_file, local_files, shared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from distributed import Client

    from analysis.counts import Counts
    from analysis.evaluation import Evaluation
    from analysis.first_look import FirstLook, Proposal
    from analysis.gates import GateSet
    from analysis.tagfile import TagSource
    from analysis.witness import Condition
    from labkit.reanalysis import Counted

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def finite(text: str) -> float:
    """Read a number that is neither nan nor infinite.

    Raises
    ------
    typer.BadParameter
        If it is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not isfinite(number):
        message = f"must be a finite number, but is {text}"
        raise typer.BadParameter(message)
    return number


Bound = Annotated[
    float,
    typer.Option(parser=finite, metavar="R", help="Bound for separable states, for example 0.995."),
]


Assume = Annotated[
    list[str] | None,
    typer.Option(
        "--assume",
        metavar="NAME=VALUE",
        help="Declare a condition of the witness, for example splitting=0.503; repeatable.",
    ),
]

As = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="TYPE",
        help="Read the file as this format (qutag, swabian-dump, …) or PTU record type (0x…).",
    ),
]


def register(app: typer.Typer) -> None:
    """Add this room's commands to the app."""
    for command in (analyse, witness, info, gates):
        app.command()(command)


def analyse(
    places: Annotated[
        list[str],
        typer.Argument(
            help="Tag files, run folders, patterns (runs/**/*.ptu), addresses (https://, s3://); "
            "several add up.",
            metavar="FILE…",
        ),
    ],
    gates: Annotated[
        Path | None,
        typer.Option(
            help="Gates file (YAML); by default the first file's name + .gates.yaml, or else a "
            "proposal found in the data."
        ),
    ] = None,
    json: Json = False,
    bound: Bound = 1.0,
    assume: Assume = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Also write report.html with pictures there."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Also save the counts as .json or .nc (netCDF)."),
    ] = None,
    follow: Annotated[
        float,
        typer.Option(
            help="Watch one PTU file while it grows; stop after so many seconds without growth.",
            metavar="SECONDS",
            min=0.0,
        ),
    ] = 0.0,
    threads: Annotated[int, typer.Option(min=1, help="Threads for long files.")] = 2,
    start: Annotated[
        float | None,
        typer.Option(
            "--from", parser=finite, metavar="SECONDS", help="Count from this time of the file …"
        ),
    ] = None,
    stop: Annotated[
        float | None,
        typer.Option("--to", parser=finite, metavar="SECONDS", help="… to this time."),
    ] = None,
    as_type: As = None,
    allow_repeats: Annotated[
        bool, typer.Option("--allow-repeats", help="Add up even files with the same recording.")
    ] = False,
    scheduler: Scheduler = None,
    workers: Workers = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            help="With --workers or --scheduler: keep the counts of finished files in this folder, "
            "and go on from there."
        ),
    ] = None,
) -> None:
    """Count tag files; print g², the witness R_m and the verdict."""
    from analysis.evaluation import evaluate
    from analysis.evidence import assumed_conditions
    from analysis.tagfile import open_tags
    from analysis.witness.verdict import ENTANGLED

    if output is not None:
        _check_output(output)
    if out is not None:
        check_folder("--out", out)
    files = local_files(places)
    between = _between(files, start, stop, follow=bool(follow))
    _check_shared(scheduler, workers, keep, alone=bool(follow or between))
    declared, fixed = assumed_conditions(assume or [])
    for folder in filter(Path.is_dir, files):
        _gates_of(folder)  # refuses what is no run folder
    remark: list[str] = []
    repeats: list[str] = []
    if len(files) == 1 and files[0].is_dir() and not follow:
        with shared(scheduler, workers) as client:
            counted = _counted_blocks(client, threads, keep)
            evaluation = _evaluated_again(files[0], gates, counted, declared, fixed, bound)
        counts = evaluation.counts
    else:
        tags = [path for file in files for path in _tag_files(file)]
        sources = [open_tags(path, as_type=as_type) for path in tags]
        gate_set, remark = _gates_for(files[0], gates, sources, follow=bool(follow))
        if follow:
            counts = _follow(tags, gate_set, follow)
        else:
            with shared(scheduler, workers) as client:
                counter = _counter(client, threads, as_type, keep, between)
                counts = _count(sources, gate_set, counter, _turned(files), allow_repeats)
        unmet = _unmet(sources, proposed=bool(remark))
        evaluation = evaluate(
            counts, declared=declared, trials_fixed_in_advance=fixed, measured=unmet, bound=bound
        )
        if evaluation.verdict is not None and evaluation.verdict.decision == ENTANGLED:
            shifted = _shifted(sources, counts, whole=between is None)
            evaluation = evaluate(
                counts, declared=declared, trials_fixed_in_advance=fixed,
                measured=[*unmet, shifted], bound=bound,
            )  # fmt: skip
        repeats = [condition.problem for condition in unmet if condition.name == "data"]
    diagnosis = [*remark, *repeats, *_diagnosis(evaluation, files)]
    if output is not None:
        _save(counts, output)
    if out is not None:
        from labkit.report import write_report

        page = write_report(evaluation, out, bound=bound, remarks=diagnosis)
        remarks.print(f"report: {page}", soft_wrap=True)
    if json:
        print_json(evaluation.to_dict(bound) | {"diagnosis": diagnosis})
        return
    from labkit.cli.tables import print_evaluation

    print_evaluation(evaluation, bound, diagnosis=diagnosis)


def _shifted(sources: "list[TagSource]", counts: "Counts", *, whole: bool) -> "Condition":
    """Ask the files for drifts of the rates before the word: the user cannot know them."""
    from analysis.counting.count import count
    from analysis.counting.shifted import shifted_counts
    from analysis.witness.conditions import DEMANDS, not_measured, null_shuffled

    name = "null_shuffled"
    if any(source.layout.mode != "T3" for source in sources):
        return not_measured(name, DEMANDS[name])
    trials = (counts if whole else count(sources[0].path, counts.gates)).trials.number
    found = shifted_counts(sources, counts.gates, trials)
    sums = [
        (float(found.pairs[cells].sum()), float(found.accidentals[cells].sum()))
        for cells in (([0, 1], [0, 1]), ([1, 0], [0, 1]))
    ]
    return null_shuffled(sums)


def _gates_of(place: Path) -> Path:
    """Return the gates file of a tag file or a run folder; runs are loaded for folders only."""
    from analysis.gates import gates_path

    if not place.is_dir() and gates_path(place).is_file():
        return gates_path(place)
    from labkit.run import gates_beside

    return gates_beside(place)


def _tag_files(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    from labkit.run import tag_files

    return tag_files(place)


def _between(
    files: list[Path], start: float | None, stop: float | None, *, follow: bool
) -> tuple[float, float] | None:
    """Return from when to when to count, or None for the whole."""
    if start is None and stop is None:
        return None
    if follow or len(files) != 1 or files[0].is_dir():
        message = "--from and --to cut one tag file, which is complete; name one"
        raise ValueError(message)
    return start or 0.0, inf if stop is None else stop


def _gates_for(
    first: Path, named: Path | None, sources: "list[TagSource]", *, follow: bool
) -> "tuple[GateSet, list[str]]":
    """Return the gates that are named or lie beside the file, or else a proposal and its label."""
    from analysis.gates import GateSet, gates_path

    if named is not None or first.is_dir() or follow or gates_path(first).exists():
        return GateSet.from_yaml(named or _gates_of(first)), []
    try:
        proposal = _propose(sources[0])
    except ValueError as error:
        message = f"{error} (no gates file {gates_path(first).name} beside it; --gates names one)"
        raise ValueError(message) from None
    label = (
        "these gates are a PROPOSAL found in the data, for want of a gates file: nothing below is "
        "a result until they are checked (labkit gates FILE -o FILE.gates.yaml)"
    )
    remarks.print(f"caution: {label}", markup=False, soft_wrap=True)
    remarks.print(str(proposal.gates), markup=False, highlight=False, soft_wrap=True)
    return proposal.gates, [label, *proposal.found, *proposal.unknown]


def _look(source: "TagSource") -> "FirstLook":
    from analysis.first_look import look

    with progress_bar("reading", "records") as progress:
        total = source.n_records
        return look(source, progress=lambda done: progress(done, total))


def _propose(source: "TagSource") -> "Proposal":
    from analysis.first_look import propose_gates

    return propose_gates(_look(source))


def _diagnosis(evaluation: "Evaluation", named: list[Path]) -> list[str]:
    """Return what is wrong; the journal of a run folder and its sequence say more than tags."""
    from labkit.report.diagnostics import diagnose, diagnose_blocks

    if len(named) != 1 or not named[0].is_dir():
        return list(diagnose(evaluation))
    from labkit.run import open_run

    folder = open_run(named[0])
    return list(diagnose_blocks(evaluation, folder.main_blocks(), folder.sequence()))


def _unmet(sources: "list[TagSource]", *, proposed: bool) -> "list[Condition]":
    """Return the conditions on the data that are not met."""
    from analysis.tagfile.distinct import check_distinct

    unmet = []
    try:
        check_distinct(sources)
    except ValueError:  # allowed by the user
        unmet.append(_condition("data", "every file once", "a file is counted twice"))
    if proposed:
        unmet.append(
            _condition("gates", "chosen before the data", "the gates are a proposal from the data")
        )
    return unmet


def _condition(name: str, demand: str, problem: str) -> "Condition":
    from analysis.witness import Condition

    return Condition(
        name=name, value=None, demand=demand, met=False, source="this run", problem=problem
    )


class _Count(Protocol):
    """What counts: here, or on workers."""

    def __call__(
        self,
        sources: "Iterable[TagSource]",
        gates: "GateSet",
        *,
        allow_repeats: bool,
        progress: "Callable[[int, int], object]",
    ) -> "Counts": ...


def _count(
    sources: "list[TagSource]",
    gates: "GateSet",
    counter: _Count,
    turned: set[Path],
    allow_repeats: bool,
) -> "Counts":
    """Count sources; those of `turned` were taken at θ + π, their read detectors change roles."""
    parts = [[s for s in sources if (s.path in turned) is turn] for turn in (False, True)]
    found = []
    with progress_bar("counting", "") as progress:
        for part, turn in zip(parts, (False, True), strict=True):
            if part:
                counts = counter(part, gates, allow_repeats=allow_repeats, progress=progress)
                found.append(counts.exchanged("read") if turn else counts)
    return sum(found[1:], found[0])


def _counter(
    client: "Client | None",
    threads: int,
    as_type: str | None,
    keep: Path | None,
    between: tuple[float, float] | None,
) -> _Count:
    """Return what counts: a stretch of one file, all here, or on the workers of a cluster."""
    from analysis.counting import count

    if client is None and between is None:
        return partial(count, threads=threads)

    def counter(
        sources: "Iterable[TagSource]",
        gates: "GateSet",
        *,
        allow_repeats: bool,
        progress: "Callable[[int, int], object]",
    ) -> "Counts":
        if client is None:
            from analysis.questions.segments import count_between

            (source,) = sources
            return count_between(source, gates, *(between or (0.0, inf)))
        from analysis.counting.distributed import count_distributed

        return count_distributed(
            client, [source.path for source in sources], gates, as_type=as_type,
            allow_repeats=allow_repeats, keep=keep, progress=progress,
        )  # fmt: skip

    return counter


def _check_shared(
    scheduler: str | None, workers: int | None, keep: Path | None, *, alone: bool
) -> None:
    """Refuse options that would do nothing."""
    is_shared = scheduler is not None or workers is not None
    if keep is not None and not is_shared:
        message = "--keep goes with --workers or --scheduler"
        raise ValueError(message)
    if is_shared and alone:
        message = "--follow, --from and --to count one file here; leave --workers, --scheduler out"
        raise ValueError(message)


def _turned(files: list[Path]) -> set[Path]:
    """Return the segments of run folders that were taken at θ + π."""
    runs = [file for file in files if file.is_dir()]
    if not runs:
        return set()
    from labkit.run import open_run
    from labkit.run.journal import PI, TURN

    folders = [open_run(run) for run in runs]
    return {
        folder.path / block.segment
        for folder in folders
        for block in folder.main_blocks()
        if block.setting.get(TURN) == PI
    }


def _evaluated_again(
    run: Path,
    gates: Path | None,
    counted: "Counted",
    declared: dict[str, float],
    fixed: bool,
    bound: float,
) -> "Evaluation":
    from analysis.gates import GateSet
    from labkit.reanalysis import reanalyse

    found = reanalyse(
        run, None if gates is None else GateSet.from_yaml(gates), counted=counted,
        declared=declared, fixed=fixed, bound=bound,
    )  # fmt: skip
    for remark in found.remarks:
        remarks.print(f"caution: {remark}", markup=False)
    return found.evaluation


def _counted_blocks(client: "Client | None", threads: int, keep: Path | None) -> "Counted":
    """Return what counts a run's blocks: here, or on the workers of a cluster."""

    def counted(tags: "Sequence[Path]", gates: "GateSet") -> "list[Counts]":
        with progress_bar("counting", "blocks") as progress:
            if client is not None:
                from analysis.counting.distributed import count_each

                return count_each(
                    client, tags, gates, allow_repeats=True, keep=keep, progress=progress
                )
            from analysis.counting import count

            found = []
            for path in tags:
                found.append(count(path, gates, threads=threads))
                progress(len(found), len(tags))
            return found

    return counted


def _follow(files: list[Path], gates: "GateSet", patience: float) -> "Counts":
    from analysis.counting import follow
    from analysis.tagfile import PtuFile

    if len(files) != 1:
        message = f"--follow watches one file, but got {len(files)}"
        raise ValueError(message)
    source = PtuFile(files[0])
    counts = None
    with remarks.status("waiting for records (Ctrl-C stops and prints the result)") as status:
        try:
            for counts in follow(source.follow(idle_timeout=patience), source, gates):
                clicks = int(counts.singles.sum())
                status.update(f"{counts.trials.number:,} trials, {clicks:,} clicks in gates")
        except KeyboardInterrupt:
            if counts is None:
                raise
    if counts is None or counts.quality.records == 0:
        message = f"{files[0]}: no records came within {patience:g} s"
        raise ValueError(message)
    return counts


def _check_output(path: Path) -> None:
    """Refuse before hours of counting what could not be saved after them."""
    if path.suffix not in (".json", ".nc"):
        message = f"--output must end in .json or .nc, but is {path.name!r}"
        raise ValueError(message)
    if not path.parent.is_dir():
        message = f"--output must name a file in an existing folder, but there is no {path.parent}"
        raise ValueError(message)


def _save(counts: "Counts", path: Path) -> None:
    if path.suffix == ".nc":
        from analysis.netcdf import write_netcdf
        from labkit import __version__

        write_netcdf(counts.labelled(), path, title="Clicks and coincidences", version=__version__)
        return
    import json

    path.write_text(json.dumps(counts.to_dict()) + "\n", encoding="utf-8")


def witness(
    counts: Annotated[
        Path, typer.Argument(help="Counts file (JSON or what analyse saved).", metavar="COUNTS")
    ],
    set_name: Annotated[
        str | None, typer.Option("--counts-set", help="Which set, if the file holds several.")
    ] = None,
    bound: Bound = 1.0,
    assume: Assume = None,
    json: Json = False,
) -> None:
    """Compute g², R_m and the verdict from a counts file."""
    from analysis.evidence import assumed_conditions, load_evidence
    from analysis.witness import judge
    from analysis.witness import witness as estimate

    declared, fixed = assumed_conditions(assume or [])
    evidence = load_evidence(counts, set_name).assuming(declared, fixed=fixed)
    loaded = evidence.theta
    try:
        found = estimate(loaded)
        verdict = judge(evidence, bound=min(bound, 1.0))
    except ValueError as error:
        message = f"{counts}: {error}"
        raise ValueError(message) from None
    if json:
        print_json(
            {
                "trials": loaded.trials,
                "coincidences": dict(loaded.coincidences),
                "g2": {name: pair.to_dict() for name, pair in found.g2.items()},
                "witness": found.to_dict(),
                "as_published": found.as_published(bound),
                "verdict": verdict.to_dict(),
                "bound": bound,
                "cautions": found.cautions,
            }
        )
        return
    from analysis.published import find_published
    from labkit.cli.tables import print_cautions, print_table
    from labkit.report.tables import g2_table, witness_table

    print_table(g2_table(found.g2, "second-order coherence g²"))
    print_table(witness_table(found, bound, find_published(loaded)))
    print_cautions(found.cautions)
    print_lines(str(verdict))


def info(
    place: Annotated[str, typer.Argument(help="Tag file, or its address.", metavar="FILE")],
    json: Json = False,
    header: Annotated[bool, typer.Option("--header", help="Also print every header tag.")] = False,
    plot: Annotated[
        bool, typer.Option("--plot", help="Also draw arrival times, rates and pulses.")
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Also save that picture as .png, .pdf or .svg."),
    ] = None,
    as_type: As = None,
) -> None:
    """Print a tag file's header, rates, duration and warnings."""
    from analysis.tagfile import open_tags, summarise

    source = open_tags(fetched_file(place), as_type=as_type)
    seen = None
    if plot or picture is not None:
        seen = _look(source)
        summary = seen.summary
    else:
        with progress_bar("reading", "records") as progress:
            total = source.n_records
            summary = summarise(source, progress=lambda done: progress(done, total))
    if picture is not None and seen is not None:
        from analysis.plots import first_look

        first_look(seen).savefig(picture)
    tags = {str(name): _plain(value) for name, value in source.header.items()}
    if json:
        print_json({**summary.to_dict(), "header": tags})
        return

    print_lines(str(summary))
    if plot and seen is not None:
        from labkit.cli.output import results
        from labkit.cli.pictures import draw

        print_lines(draw(seen, results.encoding))
    if header:
        print_lines("\n".join(f"  {name:<34} {value}" for name, value in tags.items()))


def gates(
    place: Annotated[str, typer.Argument(help="Tag file, or its address.", metavar="FILE")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the gates file here.")
    ] = None,
    optimise: Annotated[
        bool,
        typer.Option(
            "--optimise",
            help="Narrow the gates pump and read for the best signal-to-noise ratio of their "
            "coincidences, judged on trials that did not choose them.",
        ),
    ] = False,
    given: Annotated[
        Path | None,
        typer.Option(
            "--gates", help="With --optimise: gates to begin with; by default those beside FILE."
        ),
    ] = None,
    as_type: As = None,
) -> None:
    """Propose gates: the pulses found in a tag file, or better ones inside given gates."""
    from analysis.tagfile import open_tags

    source = open_tags(fetched_file(place), as_type=as_type)
    if given is not None and not optimise:
        message = "--gates is for --optimise: a proposal is found without gates"
        raise ValueError(message)
    if optimise:
        from analysis.questions.optimum import better_gates

        found = better_gates(source, given)
        text, said = f"# {found}\n{found.gates.to_yaml()}", [str(found)]
    else:
        proposal = _propose(source)
        text, said = proposal.to_yaml(), [*proposal.found, *proposal.unknown]
    if output is None:
        print_lines(text.rstrip())
        return
    if output.exists():
        message = f"{output} exists; choose another name, or remove it"
        raise FileExistsError(message)
    output.write_text(text, encoding="utf-8")
    for line in said:
        remarks.print(line, markup=False, soft_wrap=True)
    what = "chosen by the data" if optimise else "a proposal"
    remarks.print(f"wrote {output}: {what}; check it", soft_wrap=True)


def _plain(value: object) -> object:
    """Return a header value that JSON can hold; nan and infinity become text."""
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    return value if isinstance(value, bool | int | float | str | None) else str(value)
