"""A tag file format, a model and a procedure that labkit does not have."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from analysis.tagfile.encoded import TableSource
from analysis.tagfile.formats import Format
from labkit.procedures import Procedure
from simulation.theory.models.yu2020 import MODEL


class LinesFile(TableSource):
    """Lines of time in ps and channel, after a first line ``LINES``."""

    format = "lines"

    def read_metadata(self, path: Path) -> Mapping[str, str]:
        return {}

    def read_rows(self) -> Iterator[tuple[Any, Any]]:
        times, channels = np.loadtxt(self.path, dtype=np.int64, skiprows=1, unpack=True)
        yield times, channels


LINES = Format(
    name="lines", suffixes=(".lines",), magic=b"LINES\n", reader="labkit_example_plugin:LinesFile"
)

WEAK = replace(MODEL, name="weak_yu2020")


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitOptions:
    seconds: float = 1.0


def wait(session: Any, sequence: Any, options: WaitOptions) -> None:
    session.lab.wait(options.seconds)


WAIT = Procedure(
    module="labkit_example_plugin", function="wait", options="WaitOptions", needs="nothing"
)
