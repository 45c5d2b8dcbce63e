"""Exams: station files of a virtual lab in which one thing is wrong."""

from pathlib import Path
from random import SystemRandom
from typing import Any, cast

from analysis.yamlfile import parse_yaml, read_text, yaml_text
from labkit.station.config import read_station_file
from simulation.lab.exam import draw_fault, seal, unseal

FACTORY = "simulation.lab.exam.ExamWorld"


def exam_station(seed: int | None = None) -> str:
    """Return the text of a station file whose world has one sealed fault.

    Parameters
    ----------
    seed : int, optional
        Same seed, same exam; by default nobody knows it.
    """
    chosen = SystemRandom().randrange(1 << 31) if seed is None else seed
    file = read_station_file("virtual")
    plain = cast("dict[str, Any]", parse_yaml(file.text, str(file.path)))
    sealed = seal(draw_fault(chosen), chosen)
    plain["labkit"]["world"] = {
        "factory": FACTORY, "options": {"seed": chosen, "sealed": sealed},
    }  # fmt: skip
    return f"# A virtual lab in which one thing is wrong.\n{yaml_text(plain)}"


def fault_of(path: Path) -> dict[str, object]:
    """Return the fault of an exam's station file.

    Raises
    ------
    ValueError
        If it is none, or the seal was changed.
    """
    plain = cast("dict[str, Any]", parse_yaml(read_text(path), str(path)))
    try:
        sealed = plain["labkit"]["world"]["options"]["sealed"]
    except (KeyError, TypeError):
        message = f"{path}: must be an exam by `labkit lab exam`, but has no sealed fault"
        raise ValueError(message) from None
    return unseal(str(sealed))
