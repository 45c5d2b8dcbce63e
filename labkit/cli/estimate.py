"""``labkit estimate``: tag files of a later protocol to S, V, heralded g²(0) or a fidelity."""

from enum import StrEnum
from functools import reduce
from operator import add
from pathlib import Path
from typing import Annotated, Any

import typer

from labkit.cli.output import print_json, print_lines


class Protocol(StrEnum):
    """Protocols whose tags have an estimator."""

    bell2018 = "bell2018"
    memory2020 = "memory2020"
    single_phonons2017 = "single_phonons2017"
    teleportation2021 = "teleportation2021"


def register(app: typer.Typer) -> None:
    """Add this room's command to the app."""
    app.command()(estimate)


def estimate(
    protocol: Annotated[
        Protocol,
        typer.Argument(
            metavar="PROTOCOL",
            help=f"What was measured: {', '.join(Protocol)}.",
        ),
    ],
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…",
            help="bell2018: b1r1 b1r2 b2r1 b2r2 in this order. memory2020: both phases. "
            "single_phonons2017: one or more, which add up. teleportation2021: H V D A L R.",
        ),
    ],
    level: Annotated[
        float, typer.Option(help="Probability inside the intervals, between 0 and 1.")
    ] = 0.68,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Count a protocol's tag files; print S, V, heralded g²(0) or the mean fidelity."""
    text, plain = {
        Protocol.bell2018: _bell,
        Protocol.memory2020: _memory,
        Protocol.single_phonons2017: _single_phonons,
        Protocol.teleportation2021: _teleportation,
    }[protocol](files, level)
    if json:
        print_json({"protocol": protocol.value, "level": level} | plain)
        return
    print_lines(text)


def _bell(files: list[Path], level: float) -> tuple[str, dict[str, Any]]:
    from analysis.bell import SETTINGS, chsh, coincidences_of

    if len(files) != len(SETTINGS):
        message = f"bell2018 needs a file for each of {', '.join(SETTINGS)}, but got {len(files)}"
        raise ValueError(message)
    counts = {
        setting: coincidences_of(_patterns(file).counts)
        for setting, file in zip(SETTINGS, files, strict=True)
    }
    found = chsh(counts, level)
    return str(found), found.to_dict()


def _memory(files: list[Path], level: float) -> tuple[str, dict[str, Any]]:
    from analysis.heralded import visibility

    if len(files) != 2:
        message = f"memory2020 needs two files, one for each phase, but got {len(files)}"
        raise ValueError(message)
    measured = [_patterns(file) for file in files]
    heralds = [found.all_of(("pump", 1)) for found in measured]
    clicks = [found.all_of(("pump", 1), ("read", 1)) for found in measured]
    if clicks[0] * heralds[1] < clicks[1] * heralds[0]:
        heralds, clicks = heralds[::-1], clicks[::-1]
    found = visibility(clicks[0], clicks[1], (heralds[0], heralds[1]), level)
    told = f"V  {found}  {clicks[0]:,} of {heralds[0]:,}, {clicks[1]:,} of {heralds[1]:,} heralds"
    return told, {"V": found.to_dict(), "clicks": clicks, "heralds": heralds}


def _single_phonons(files: list[Path], level: float) -> tuple[str, dict[str, Any]]:
    from analysis.heralded import heralded_g2

    found = reduce(add, [_patterns(file) for file in files])
    herald, one, two = ("pump", 1), ("read", 1), ("read", 2)
    numbers = {
        "triples": found.all_of(herald, one, two),
        "read_1": found.all_of(herald, one),
        "read_2": found.all_of(herald, two),
        "heralds": found.all_of(herald),
    }
    g2 = heralded_g2(**numbers, level=level)
    return f"g²(0|h)  {g2}", {"g2": g2.to_dict(), **numbers}


def _teleportation(files: list[Path], level: float) -> tuple[str, dict[str, Any]]:
    from analysis.heralded import INPUTS, mean_fidelity

    if len(files) != len(INPUTS):
        wanted = ", ".join(INPUTS)
        message = f"teleportation2021 needs a file for each of {wanted}, but got {len(files)}"
        raise ValueError(message)
    herald = ("pump", 1), ("pump", 2)
    counts = {}
    for name, file in zip(INPUTS, files, strict=True):
        found = _patterns(file)
        counts[name] = tuple(found.all_of(*herald, ("read", k)) for k in (2, 1))
    mean = mean_fidelity(counts, dict.fromkeys(INPUTS, 1 / len(INPUTS)), level)
    each = "  ".join(f"{name} {right:,}:{wrong:,}" for name, (right, wrong) in counts.items())
    plain = {"F": mean.F.to_dict(), "p_classical": mean.p_classical, "counts": counts}
    return f"mean {mean}  right:wrong {each}", plain


def _patterns(file: Path) -> Any:
    from analysis.counting.patterns import count_patterns
    from analysis.gates import GateSet, gates_path

    return count_patterns(file, GateSet.from_yaml(gates_path(file)))
