"""Corrected values beside raw ones: ``labkit background`` and ``afterpulses``."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labkit.cli.output import print_json, print_lines, remarks
from labkit.cli.questions import Gates
from labkit.cli.tags import Json, finite

if TYPE_CHECKING:
    from analysis.gates import GateSet
    from analysis.questions.background import Cell, Corrected

Files = Annotated[list[Path], typer.Argument(help="Tag files; several add up.", metavar="FILE…")]


def register(app: typer.Typer) -> None:
    """Add this room's commands to the app."""
    for command in (afterpulses, background):
        app.command()(command)


def background(
    files: Files,
    off: Annotated[str, typer.Option(metavar="GATE", help="Gate without light.")],
    gates: Gates = None,
    json: Json = False,
) -> None:
    """Print g² with and without the background of an off-gate."""
    from analysis.counting import count
    from analysis.questions.background import without_background

    counts = count(files, gates)
    counts.arrivals(off)  # refuses an unknown gate before anything is printed
    found, undefined = _of_pairs(
        counts.gates, off, lambda late, early: without_background(counts, late, early, off)
    )
    if json:
        plain = {
            name: {**_plain(each), "background_shares": list(each.shares)}
            for name, each in found.items()
        }
        print_json({"off": off, "g2": plain, "undefined": undefined})
        return
    _show(found, undefined, "background")


def afterpulses(
    files: Files,
    off: Annotated[
        str | None,
        typer.Option(metavar="GATE", help="Gate without light that shows the afterpulses."),
    ] = None,
    coherent: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="Recording of coherent light with the same gates; repeatable."
        ),
    ] = None,
    dead_time: Annotated[
        float,
        typer.Option(
            parser=finite,
            metavar="SECONDS",
            help="Of all detectors, as `labkit detector` finds it.",
        ),
    ] = 0.0,
    gates: Gates = None,
    json: Json = False,
) -> None:
    """Print g² with and without afterpulses and dead time.

    Either a gate without light shows how often a pump click is followed by another click of the
    same detector, or a recording of coherent light does.
    """
    from analysis.counting import count
    from analysis.questions.afterpulses import without_memory

    if (off is None) == (not coherent):
        message = "afterpulses needs one of --off and --coherent"
        raise ValueError(message)
    if dead_time < 0:
        message = f"--dead-time must be >= 0 seconds, but is {dead_time:g}"
        raise ValueError(message)
    counts = count(files, gates)
    calibration = count(coherent, counts.gates) if coherent else counts
    if off is not None:
        counts.arrivals(off)  # refuses an unknown gate before anything is printed
    found, undefined = _of_pairs(
        counts.gates,
        off,
        lambda late, early: without_memory(
            counts,
            late,
            early,
            calibration=calibration,
            gate=off or late[0],
            dead_times=dict.fromkeys(counts.gates.detectors, dead_time),
        ),
    )
    if json:
        plain = {
            name: {
                **_plain(each),
                "afterpulse_share": each.shares[0],
                "blocked_share": each.shares[1],
            }
            for name, each in found.items()
        }
        print_json({"off": off, "dead_time": dead_time, "g2": plain, "undefined": undefined})
        return
    _show(found, undefined, "afterpulses and dead time")
    if off is not None:
        remarks.print(
            f"afterpulses per second are taken to be the same in {off} as in the read gate",
            markup=False,
        )


def _of_pairs(
    gates: "GateSet", off: str | None, correct: "Callable[[Cell, Cell], Corrected]"
) -> "tuple[dict[str, Corrected], dict[str, str]]":
    """Return the corrected g² of each pair of cells by name, and why others have none."""
    from analysis.evaluation import cross_pairs

    found, undefined = {}, {}
    for name, (late, early) in cross_pairs(gates).items():
        if off in (late[0], early[0]):
            continue
        try:
            found[name] = correct(late, early)
        except ValueError as error:
            undefined[name] = str(error)
    return found, undefined


def _plain(each: "Corrected") -> dict[str, object]:
    return {"raw": each.raw.to_dict(), "corrected": each.corrected.to_dict()}


def _show(found: "dict[str, Corrected]", undefined: dict[str, str], what: str) -> None:

    for name, reason in undefined.items():
        remarks.print(f"g2.{name} is undefined: {reason}", markup=False, soft_wrap=True)
    print_lines("\n".join(f"g2 {name}: {each.described(what)}" for name, each in found.items()))
