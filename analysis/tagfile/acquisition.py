"""What a tag file says about the measurement, in the form that every format can keep."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from analysis.tagfile.layouts import GENERIC_T2, GENERIC_T3, Mode, RecordLayout
from analysis.tagfile.source import FileWarning, TagSource

PICOSECOND = 1e-12

SIZE_WARNINGS = frozenset({"record_count", "truncated", "no_records"})
"""Warnings about a file's size, which say nothing about a copy of its tags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """Mode, units and duration of a measurement.

    Attributes
    ----------
    mode : {"T2", "T3"}
    resolution : float
        Seconds per T2 tick, or per T3 dtime bin.
    sync_period : float or None
        Nominal seconds per sync; always there in T3.
    sync_rate : float or None
        Syncs per second.
    measured_time : float or None
        Seconds measured.
    end_time : int or None
        T2 ticks or T3 syncs up to which the measurement surely went.
    device : str
        What took the tags, as in `RecordLayout.device`; empty if the file does not say.
    warnings : tuple of FileWarning
        Of the file that was first written.
    """

    mode: Mode = "T2"
    resolution: float = PICOSECOND
    sync_period: float | None = None
    sync_rate: float | None = None
    measured_time: float | None = None
    end_time: int | None = None
    device: str = ""
    warnings: tuple[FileWarning, ...] = ()

    def __post_init__(self) -> None:
        if self.mode not in ("T2", "T3"):
            message = f"`mode` must be 'T2' or 'T3', but is {self.mode!r}"
            raise ValueError(message)
        if self.mode == "T3" and self.sync_period is None:
            message = "`sync_period` must be given in mode T3, but is not"
            raise ValueError(message)
        for name in ("resolution", "sync_period", "sync_rate", "measured_time"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                message = f"`{name}` must be positive and finite, but is {value}"
                raise ValueError(message)
        if self.end_time is not None and self.end_time < 0:
            message = f"`end_time` must not be negative, but is {self.end_time}"
            raise ValueError(message)

    @classmethod
    def of(cls, source: TagSource, *, end_time: int | None = None) -> "Acquisition":
        """Take what an open tag file says."""
        return cls(
            mode=source.layout.mode,
            resolution=source.resolution,
            sync_period=source.sync_period,
            sync_rate=source.sync_rate,
            measured_time=source.measured_time,
            end_time=end_time,
            device=source.device,
            warnings=tuple(w for w in source.warnings if w.code not in SIZE_WARNINGS),
        )

    @property
    def layout(self) -> RecordLayout:
        """The generic layout that holds such tags, under the name of their device."""
        layout = GENERIC_T2 if self.mode == "T2" else GENERIC_T3
        return replace(layout, device=self.device) if self.device else layout

    def to_text(self) -> dict[str, str]:
        """Return what is known as text by name, such that `from_text` gives the same back."""
        text = {"mode": self.mode, "resolution": repr(self.resolution)}
        for name in ("sync_period", "sync_rate", "measured_time", "end_time"):
            value = getattr(self, name)
            if value is not None:
                text[name] = repr(value)
        if self.device:
            text["device"] = self.device
        if self.warnings:
            text["warnings"] = json.dumps([[w.code, w.message] for w in self.warnings])
        return text

    @classmethod
    def from_text(cls, text: Mapping[str, str]) -> "Acquisition":
        """Read what `to_text` wrote; names it does not know are left aside.

        Raises
        ------
        ValueError
            If a value is not what its name demands; the message names it.
        """
        values: dict[str, object] = {}
        for name, convert in _CONVERTERS.items():
            if name in text:
                try:
                    values[name] = convert(text[name])
                except (ValueError, TypeError) as error:
                    message = f"metadata {name!r} cannot be read from {text[name]!r}: {error}"
                    raise ValueError(message) from error
        return cls(**values)  # type: ignore[arg-type]


def _read_warnings(text: str) -> tuple[FileWarning, ...]:
    pairs: Iterable[tuple[str, str]] = json.loads(text)
    return tuple(FileWarning(code=code, message=message) for code, message in pairs)


_CONVERTERS: dict[str, Callable[[str], object]] = {
    "mode": str,
    "resolution": float,
    "sync_period": float,
    "sync_rate": float,
    "measured_time": float,
    "end_time": int,
    "device": str,
    "warnings": _read_warnings,
}

METADATA = tuple(_CONVERTERS)
"""Names that `Acquisition.to_text` uses."""
