"""The event log of a run, read as it grows: its last events, alarms, and where procedures are."""

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from labkit.run.events import EVENTS, SETTING_LINE
from labkit.run.lines import object_of
from labkit.run.progress import Step

MOST_EVENTS = 200
"""So many of the last events are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened.

    Attributes
    ----------
    time : float
        Unix time, s.
    kind : {"step", "alarm"}
    text : str
    """

    time: float
    kind: str
    text: str


class EventTail:
    """Reads what is new in a run folder's event log; settings are counted, not kept.

    Parameters
    ----------
    folder : Path
        Run folder.

    Attributes
    ----------
    recent : deque of Event
    alarms : int
        Of the whole run.
    settings : int
        Parameters set so far.
    path : tuple of Step
        Steps that began last, outermost first.
    begun : dict of (str, int) to float
        When each step of an outermost procedure began (last), by its number; Unix time, s.
    notifier : str
        What was said last about a way of telling that fails; empty if none did.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / EVENTS
        self._position = 0
        self._clear()

    def _clear(self) -> None:
        self.recent: deque[Event] = deque(maxlen=MOST_EVENTS)
        self.alarms, self.settings = 0, 0
        self.path: tuple[Step, ...] = ()
        self.begun: dict[tuple[str, int], float] = {}
        self.notifier = ""

    def poll(self) -> None:
        """Read whole lines that are new; damaged ones are passed over."""
        try:
            size = self._path.stat().st_size
        except FileNotFoundError:
            return
        if size < self._position:
            self._position = 0
            self._clear()
        if size == self._position:
            return
        with self._path.open("rb") as stream:
            stream.seek(self._position)
            for raw in stream:
                if not raw.endswith(b"\n"):
                    break
                self._position += len(raw)
                self._take(raw)

    def _take(self, raw: bytes) -> None:
        if raw[9:].startswith(SETTING_LINE):
            self.settings += 1
            return
        plain: dict[str, Any] | None = object_of(raw)
        if plain is None:
            return
        kind, text = str(plain.get("kind")), str(plain.get("text", ""))
        try:
            time = datetime.fromisoformat(str(plain["time"])).timestamp()
            if kind == "progress":
                before, self.path = self.path, tuple(Step(**step) for step in plain["path"])
                if before[:1] != self.path[:1]:
                    self.begun[self.path[0].procedure, self.path[0].number] = time
                return
        except (IndexError, KeyError, TypeError, ValueError):
            return  # the log is no evidence: a line that labkit did not write is passed over
        self.recent.append(Event(time=time, kind=kind, text=text))
        self.alarms += kind == "alarm"
        if text.startswith("alarms: "):
            self.notifier = text.removeprefix("alarms: ")
