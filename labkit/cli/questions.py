"""Questions asked of tags: ``labkit blocks``, ``coincidences``, ``correlate`` and more."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labkit.cli.output import print_json, print_lines, remarks
from labkit.cli.tags import Json, finite

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.fits import FringeFit
    from analysis.questions.drift import G2Course
    from analysis.questions.segments import Segments
    from analysis.tagfile import TagSource

Gates = Annotated[
    Path | None,
    typer.Option(help="Gates file (YAML); by default the file's name + .gates.yaml."),
]


Delays = Annotated[
    list[str] | None,
    typer.Option(
        "--delay",
        metavar="CHANNEL=SECONDS",
        help="Move an input channel's clicks to later times first; repeatable.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add this room's commands to the app."""
    for command in (blocks, coincidences, correlate, delays, detector, shifted):
        app.command()(command)


def _opened(file: Path, delays: list[str] | None) -> "TagSource":
    """Open a tag file, its clicks moved by ``channel=seconds``."""
    from analysis.tagfile import open_tags
    from analysis.tagfile.delayed import DelayedSource

    source = open_tags(file)
    if not delays:
        return source
    moved: dict[int, float] = {}
    for text in delays:
        channel, _, seconds = text.partition("=")
        if not channel.strip().isdecimal():
            message = f"--delay must be CHANNEL=SECONDS such as 1=3.5e-9, but is {text!r}"
            raise ValueError(message)
        moved[int(channel)] = finite(seconds)
    return DelayedSource(source, moved)


def blocks(
    file: Annotated[Path, typer.Argument(help="Tag file.", metavar="FILE")],
    gates: Gates = None,
    every: Annotated[
        float | None,
        typer.Option(parser=finite, metavar="SECONDS", help="Cut into blocks of equal length."),
    ] = None,
    marker: Annotated[
        int | None, typer.Option(help="Cut at each record of this marker input (1 to 4).")
    ] = None,
    start: Annotated[
        float | None,
        typer.Option(
            "--from", parser=finite, metavar="SECONDS", help="Take one block: from this time …"
        ),
    ] = None,
    stop: Annotated[
        float | None,
        typer.Option("--to", parser=finite, metavar="SECONDS", help="… to this time."),
    ] = None,
    delay: Delays = None,
    fringe: Annotated[
        bool, typer.Option("--fringe", help="Fit a fringe to g² against the block's number.")
    ] = False,
    period: Annotated[
        float | None,
        typer.Option(parser=finite, metavar="BLOCKS", help="Blocks per period of the fringe."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Save counts as JSON: of the one block, or a list."),
    ] = None,
    json: Json = False,
) -> None:
    """Count a file block by block; test rates and g² for drift.

    Times are seconds after the first trial. Accidentals are those of each block, so that rates
    that drift do not raise g². Cut at a marker, block 0 is what came before the first one; a fringe
    is fitted from block 1 on.
    """
    from analysis.questions.segments import count_at_markers, count_between, count_every

    source = _opened(file, delay)
    trim = start is not None or stop is not None
    if sum((every is not None, marker is not None, trim)) != 1:
        message = "blocks needs one of --every, --marker and --from/--to"
        raise ValueError(message)
    if trim:
        from analysis.evaluation import evaluate
        from labkit.cli.tables import print_evaluation

        counts = count_between(source, gates, start or 0.0, float("inf") if stop is None else stop)
        _save(output, counts.to_dict())
        evaluation = evaluate(counts)
        if json:
            print_json(evaluation.to_dict())
        else:
            print_evaluation(evaluation, 1.0)
        return
    if every is not None:
        found = count_every(source, gates, every)
    else:
        found = count_at_markers(source, gates, marker or 0)
    _save(output, [counts.to_dict() for counts in found.counts])
    courses = _courses(found)
    fringes = _fringes(courses, int(marker is not None), period) if fringe else {}
    if json:
        print_json(_plain(found, courses) | {"fringes": _plain_fringes(fringes)})
        return
    _show(found, courses, fringes)


def _save(path: Path | None, plain: object) -> None:
    import json

    if path is not None:
        path.write_text(json.dumps(plain) + "\n", encoding="utf-8")


def _courses(found: "Segments") -> "dict[str, G2Course]":
    from analysis.evaluation import cross_pairs
    from analysis.questions.drift import g2_course

    courses = {}
    for name, (late, early) in cross_pairs(found.counts[0].gates).items():
        try:
            courses[name] = g2_course(found.counts, late, early)
        except ValueError as error:
            remarks.print(f"g2.{name} is undefined: {error}", markup=False, soft_wrap=True)
    return courses


def _fringes(
    courses: "dict[str, G2Course]", first: int, period: float | None
) -> "dict[str, FringeFit]":
    from analysis.questions.drift import fringe_of

    fitted = {}
    for name, course in courses.items():
        try:
            fitted[name] = fringe_of(course, first, period=period)
        except ValueError as error:
            remarks.print(f"g2.{name} has no fringe: {error}", markup=False, soft_wrap=True)
    return fitted


def _plain_fringes(fringes: "dict[str, FringeFit]") -> dict[str, object]:
    names = ("offset", "amplitude", "phase", "period", "visibility")
    return {
        name: {
            part: {"value": estimate.value, "sigma": estimate.sigma}
            for part in names
            if (estimate := getattr(fit, part)) is not None
        }
        for name, fit in fringes.items()
    }


def _plain(found: "Segments", courses: "dict[str, G2Course]") -> dict[str, object]:
    from analysis.questions.drift import rate_drifts

    drifts = rate_drifts(found.counts) if len(found) > 1 else {}
    return {
        "edges": found.edges.tolist(),
        "trials": [counts.trials.number for counts in found.counts],
        "singles": {
            f"{gate}{detector}": [counts.single(gate, detector) for counts in found.counts]
            for gate, detector in found.counts[0].gates.cells
        },
        "drift": {f"{gate}{detector}": each.to_dict() for (gate, detector), each in drifts.items()},
        "g2": {
            name: {
                "coincidences": each.events.tolist(),
                "accidentals": each.accidentals.tolist(),
                "pooled": each.pooled,
                "within_blocks": each.within.to_dict(),
                "bootstrap": each.bootstrap and each.bootstrap.to_dict(),
                "drift": each.drift and each.drift.to_dict(),
            }
            for name, each in courses.items()
        },
    }


def _show(
    found: "Segments", courses: "dict[str, G2Course]", fringes: "dict[str, FringeFit]"
) -> None:
    from analysis.questions.drift import rate_drifts

    cells = found.counts[0].gates.cells
    heads = [f"{gate}{detector}" for gate, detector in cells]
    rows = [f"{'block':>5} {'from s':>12} {'trials':>14} " + " ".join(f"{h:>12}" for h in heads)]
    for number, (counts, begin) in enumerate(zip(found.counts, found.edges, strict=False)):
        singles = " ".join(f"{n:>12,}" for n in counts.singles.ravel())
        rows.append(f"{number:>5} {begin:>12.6g} {counts.trials.number:>14,} {singles}")
    if len(found) > 1:
        for (gate, detector), tested in rate_drifts(found.counts).items():
            rows.append(f"{gate}{detector:<3} {tested}")
    rows += _course_rows(courses)
    for name, fit in fringes.items():
        rows.append(f"fringe of g2 {name} against the block's number")
        rows += [f"   {line}" for line in str(fit).splitlines()]
    for name, each in courses.items():
        rows.append(f"g2 {name}: {each.within} within blocks, pooled {each.pooled:.4f}")
        if each.bootstrap is not None:
            rows.append(f"   block bootstrap [{each.bootstrap.low:.4f}, {each.bootstrap.high:.4f}]")
        if each.drift is not None:
            rows.append(f"   {each.drift}")
    print_lines("\n".join(rows))


def _course_rows(courses: "dict[str, G2Course]") -> list[str]:
    """Return the g² of each block, with the standard deviation √(C + 1)/λ."""
    if not courses:
        return []
    rows = [f"{'block':>5} " + " ".join(f"{'g2 ' + name:>20}" for name in courses)]
    for number in range(len(next(iter(courses.values())).events)):
        values = []
        for course in courses.values():
            expected, events = course.accidentals[number], int(course.events[number])
            error = (events + 1) ** 0.5 / expected if expected else 0.0
            shown = f"{events / expected:.3f} ± {error:.3f}" if expected else "no clicks"
            values.append(f"{shown:>20}")
        rows.append(f"{number:>5} " + " ".join(values))
    return rows


def coincidences(
    files: Annotated[
        list[Path], typer.Argument(help="Tag files; several add up.", metavar="FILE…")
    ],
    of: Annotated[
        list[str],
        typer.Option(
            metavar="CELL,…",
            help="Cells that click together, such as pump1,read1,read2; repeatable.",
        ),
    ],
    gates: Gates = None,
    delay: Delays = None,
    level: Annotated[
        float, typer.Option(help="Probability inside the intervals, between 0 and 1.")
    ] = 0.68,
    json: Json = False,
) -> None:
    """Count N-fold coincidences and heralded g²(0).

    Of three cells the first is the herald.
    """
    from functools import reduce
    from operator import add

    from analysis.counting.patterns import count_patterns
    from analysis.gates import GateSet, gates_path
    from analysis.questions.folds import cell_of, fold, heralded

    gate_set = GateSet.from_yaml(gates or gates_path(files[0]))
    wanted = [[cell_of(name, gate_set.cells) for name in text.split(",")] for text in of]
    found = reduce(add, [count_patterns(_opened(file, delay), gate_set) for file in files])
    lines: list[str] = []
    plain: list[dict[str, object]] = []
    for cells in wanted:
        each = fold(found, cells, level)
        lines.append(str(each))
        plain.append(each.to_dict())
        if len(cells) == 3:
            g2 = heralded(found, cells[0], cells[1], cells[2], level)
            lines.append(f"   g²(0|{cells[0][0]}{cells[0][1]})  {g2}")
            plain[-1]["heralded_g2"] = g2.to_dict()
    for warning in found.counts.quality.warnings:
        remarks.print(f"warning: {warning}", markup=False, soft_wrap=True)
    if json:
        trials = found.counts.trials.number
        print_json({"trials": trials, "level": level, "coincidences": plain})
        return
    print_lines("\n".join(lines))


def correlate(
    file: Annotated[Path, typer.Argument(help="Tag file.", metavar="FILE")],
    channels: Annotated[
        str, typer.Option(metavar="START,STOP", help="Input channels as they stand in the file.")
    ] = "0,1",
    delay: Annotated[
        float, typer.Option(parser=finite, metavar="SECONDS", help="Largest delay.")
    ] = 100e-9,
    width: Annotated[
        float, typer.Option("--bin", parser=finite, metavar="SECONDS", help="Width of a bin.")
    ] = 1e-9,
    start_stop: Annotated[
        bool, typer.Option("--start-stop", help="Only the first stop after a start.")
    ] = False,
    json: Json = False,
) -> None:
    """Print g²(τ) of two channels, or of one with itself (HBT).

    In T2 of all clicks, as of continuous light; in T3 of clicks in the same trial, against
    independent trials.
    """
    from analysis.questions.delays import correlate as correlation

    try:
        first, second = (int(part) for part in channels.split(","))
    except ValueError:
        message = f"--channels must be two channel numbers such as 0,1, but is {channels!r}"
        raise ValueError(message) from None
    found = correlation(
        file, first, second, delay=delay, width=width, kind="start-stop" if start_stop else "full"
    )
    low, high = found.interval()
    values = found.g2
    if json:
        print_json(
            {
                "edges": found.edges.tolist(), "pairs": found.pairs.tolist(),
                "g2": _or_null(values), "low": _or_null(low), "high": _or_null(high),
                "clicks": list(found.clicks), "seconds": found.seconds,
            }
        )  # fmt: skip
        return
    rows = [f"{'delay s':>14} {'pairs':>10} {'g2':>10}"]
    for begin, pairs, *each in zip(found.edges, found.pairs, values, low, high, strict=False):
        rows.append(f"{begin:>14.6g} {pairs:>10,} {each[0]:>10.4f}  [{each[1]:.4f}, {each[2]:.4f}]")
    print_lines("\n".join(rows))


def _or_null(values: "NDArray[np.float64]") -> list[float | None]:
    """Return numbers as JSON can hold them: null where there is none."""
    return [None if value != value else value for value in values.tolist()]


def delays(
    file: Annotated[Path, typer.Argument(help="Tag file.", metavar="FILE")],
    gate: Annotated[str, typer.Option(metavar="GATE", help="Gate whose pulse all detectors see.")],
    gates: Gates = None,
    json: Json = False,
) -> None:
    """Find the detectors' delays from arrival times in a gate."""
    from analysis.counting import count
    from analysis.questions.alignment import delays_between

    counts = count(file, gates)
    found = delays_between(counts, gate)
    if json:
        print_json({"gate": gate, "delays": {str(d): each.to_dict() for d, each in found.items()}})
        return
    rows = [
        f"detector {number}: --delay {counts.gates.detectors[number]}={each.value:.4g}  "
        f"[{each.low:.4g}, {each.high:.4g}] s"
        for number, each in found.items()
    ]
    print_lines("\n".join(rows))


def detector(
    file: Annotated[Path, typer.Argument(help="Tag file.", metavar="FILE")],
    channel: Annotated[int, typer.Option(help="Input channel as it stands in the file.")],
    reach: Annotated[
        float,
        typer.Option(
            parser=finite,
            metavar="SECONDS",
            help="Longer than afterpulses last; whole periods if the light is pulsed.",
        ),
    ] = 1e-6,
    json: Json = False,
) -> None:
    """Estimate dead time and afterpulses of a detector."""
    from analysis.questions.memory import detector_memory

    found = detector_memory(file, channel, reach=reach)
    if json:
        print_json({"channel": channel, "reach": reach, **found.to_dict()})
        return
    print_lines(str(found))
    remarks.print("bunched light looks like afterpulses: use coherent light or none", markup=False)


def shifted(
    file: Annotated[Path, typer.Argument(help="T3 tag file.", metavar="FILE")],
    gates: Gates = None,
    shifts: Annotated[int, typer.Option(min=1, help="Trials to shift by: 1 to this many.")] = 100,
    json: Json = False,
) -> None:
    """Print g² of pump and read of different trials: a control.

    It is 1 if all is well.
    """
    from analysis.binomial import Interval
    from analysis.correlation import LEVEL, GammaPosterior
    from analysis.counting import count
    from analysis.counting.shifted import shifted_counts

    counts = count(file, gates)
    found = shifted_counts(file, counts.gates, counts.trials.number, shifts=shifts)
    estimates: dict[str, Interval] = {}
    for i, late in enumerate(counts.gates.detectors):
        for j, early in enumerate(counts.gates.detectors):
            pairs, expected = int(found.pairs[i, j]), float(found.accidentals[i, j])
            if expected == 0:
                message = f"no clicks of read {late} or pump {early}: g² is undefined"
                raise ValueError(message)
            tails = ((1 - LEVEL) / 2, (1 + LEVEL) / 2) if pairs else (0.0, LEVEL)
            posterior = GammaPosterior(events=pairs, exposure=expected)
            low, high = (float(posterior.quantile(tail)) for tail in tails)
            estimates[f"r{late}p{early}"] = Interval(
                value=posterior.mode, low=low, high=high, level=LEVEL
            )
    if json:
        print_json({"shifts": shifts, "g2": {k: each.to_dict() for k, each in estimates.items()}})
        return
    print_lines("\n".join(f"g2 {name}: {each}" for name, each in estimates.items()))
