"""The page about one run: HTML that stands alone, with nothing loaded from outside."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from html import escape
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import labkit
from labkit.dashboard.figures import figures
from labkit.monitoring import Series, Snapshot
from labkit.monitoring.status import duration_text
from labkit.report import headline

if TYPE_CHECKING:
    from jinja2 import Environment

MOST_LEFT_OUT = 12
"""Rows of the table of blocks that are left out."""

WIDE = 3.0
"""A picture so many times wider than high gets a row of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    title: str
    base64: str
    wide: bool


class Page:
    """Renders snapshots of one run; figures are drawn again only when their data have changed."""

    def __init__(self) -> None:
        self._drawn_for: Mapping[str, Series] | None = None
        self._figures: dict[float, dict[str, str]] = {}
        self._pictures: dict[Path, tuple[float, _Picture]] = {}

    def head(self, snapshot: Snapshot, now: float) -> str:
        """Return the lines at the top; `now` is Unix time, s."""
        return _templates().get_template("head.html.jinja").render(
            run=snapshot,
            headline=" · ".join(_headline(snapshot)),
            part=None if snapshot.progress is None else snapshot.progress.part(),
            remarks=snapshot.diagnosis,
            footing=" · ".join(_footing(snapshot, now)),
        )  # fmt: skip

    def body(self, snapshot: Snapshot, last: float = inf) -> str:
        """Return figures (of the last so many seconds) and tables; they change with the data."""
        rows = [
            {"left": row, "began": _clock(row.time)}
            for row in reversed(snapshot.left_out[-MOST_LEFT_OUT:])
        ]
        return _templates().get_template("body.html.jinja").render(
            figures=self._drawn(snapshot, last),
            rows=rows,
            left_out=len(snapshot.left_out),
            post_selection=snapshot.post_selection,
            pictures=[self._picture(path) for path in snapshot.figures],
        )  # fmt: skip

    def document(self, snapshot: Snapshot, now: float) -> str:
        """Return a whole page, for a file."""
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(snapshot.name)}</title></head><body>\n"
            f"{self.head(snapshot, now)}{self.body(snapshot)}</body></html>\n"
        )

    def _drawn(self, snapshot: Snapshot, last: float) -> dict[str, str]:
        if self._drawn_for is not snapshot.series:  # the same object until there are new blocks
            self._drawn_for = snapshot.series
            self._figures.clear()
        if last not in self._figures:
            self._figures[last] = figures(snapshot, last)
        return self._figures[last]

    def _picture(self, path: Path) -> _Picture:
        """Return a PNG, read again when it has been replaced."""
        written = path.stat().st_mtime
        known = self._pictures.get(path)
        if known is not None and known[0] == written:
            return known[1]
        content = path.read_bytes()
        width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
        picture = _Picture(
            title=path.stem.replace("_", " "), base64=b64encode(content).decode("ascii"),
            wide=width > WIDE * height,
        )  # fmt: skip
        self._pictures[path] = (written, picture)
        return picture


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader("labkit.dashboard", "")
    return Environment(autoescape=True, trim_blocks=True, loader=loader)


def _headline(snapshot: Snapshot) -> list[str]:
    """Return what somebody who passes by wants to know."""
    found = []
    if snapshot.goal is not None:
        part = None if snapshot.progress is None else snapshot.progress.part()
        percent = "" if part is None else f"{100 * part:.0f} % of "
        found.append(f"{percent}{snapshot.goal}")
    if snapshot.seconds_left is not None:
        found.append(f"{duration_text(snapshot.seconds_left)} left")
    if snapshot.evaluation is None:
        return [*found, "no good block yet"]
    if snapshot.witness is not None:
        return [*found, headline(snapshot.evaluation) or "no verdict yet"]
    setting = ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in snapshot.about.items()
    )
    return [*found, f"now: {setting}"]


def _footing(snapshot: Snapshot, now: float) -> list[str]:
    """Return the small print."""
    found = [f"{snapshot.good:,} of {snapshot.blocks:,} blocks are good"]
    if snapshot.evaluation is not None:
        found.append(f"{snapshot.evaluation.counts.trials.number:,} trials")
    if snapshot.progress is not None and snapshot.progress.click_rate:
        found.append(f"{snapshot.progress.click_rate:.1f} clicks/s")
    if snapshot.status.recording is not None:
        found.append(f"recording block {snapshot.status.recording:,}")
    since = duration_text(now - snapshot.status.sign_of_life)
    found.append(f"last written {since} ago on {snapshot.host}")
    return [*found, f"as of {_clock(now)}", f"labkit {labkit.__version__}"]


def _clock(seconds: float) -> str:
    """Return a Unix time in local time."""
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M:%S %Z}"
