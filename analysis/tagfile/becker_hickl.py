"""Becker & Hickl .spc files of the SPC-130 to SPC-180 and SPC-830 cards, with the .set beside them.

Source: the vendor's 32-bit layout as the public reader phconvert has it, checked against the text
export of one real recording. A record is invalid 1, overflow 1, gap 1, marker 1, ADC 12, routing 4,
macrotime 12 bits; the first one holds the macrotime unit in 0.1 ns. The start-stop time is
4095 - ADC. Macrotimes count a clock of the card or the divided sync: trials cannot be told apart.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.encoded import EncodedSource
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import MARKER
from analysis.tagfile.source import FileWarning, TagFileError, open_file

WRAP = 4096
ADC_BINS = 4096
_MODULES = frozenset(
    {0x20, 0x25, 0x28, 0x2A, 0x2B, 0x2E, *range(0x80, 0x8B)}
)  # SPC-130, -830, -150, -130EM, -160, -150N, and the family from SPC-150NX to SPC-130INXX
_NUMBER = r"\[%s,[A-Z],([-+0-9.eE]+)\]"
_SET_BYTES = 1 << 20
_BLOCK = 1 << 18


class SpcFile(EncodedSource):
    """A .spc file.

    Raises
    ------
    TagFileError
        If the .set file that belongs to it is missing, or names another kind of card.
    """

    format = "becker-hickl"
    counts_syncs = False

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        settings = _read_settings(path)
        with open_file(path) as stream:
            head = stream.read(4)
        unit = int.from_bytes(head[:3], "little") * 1e-10
        if len(head) < 4 or unit == 0:
            message = (
                f"{path}: must begin with a macrotime unit, but has none; this is no .spc file"
            )
            raise TagFileError(message)
        acquisition = Acquisition(
            mode="T3",
            device="Becker & Hickl SPC",
            resolution=settings["SP_TAC_R"] / settings["SP_TAC_G"] / ADC_BINS,
            sync_period=unit,
            warnings=(
                FileWarning(
                    code="clock_times",
                    message=(
                        f"Times count a clock of {unit:g} s of the card, not syncs: rates and "
                        "histograms are right, but trials cannot be told apart."
                    ),
                ),
            ),
        )
        super().__init__(path, acquisition)
        self.header = {name: str(value) for name, value in settings.items()}
        gaps = sum(int(np.count_nonzero(records >> 29 & 1)) for records in self._read_records())
        if gaps:
            message = f"{gaps} records tell of a gap: the card's memory overran, tags were lost."
            self.warnings = (*self.warnings, FileWarning(code="fifo_overrun", message=message))

    def read_events(self) -> Iterator[Events]:
        """Yield the photons and markers."""
        wraps = 0
        for records in self._read_records():
            invalid, overflow = records >> 31 == 1, records >> 30 & 1 == 1
            marker = records >> 28 & 1 == 1
            counted = invalid & overflow & ~marker
            steps = np.where(counted, records & 0x0FFFFFFF, overflow).astype(np.int64)
            time = (records & 0xFFF).astype(np.int64) + (wraps + np.cumsum(steps)) * WRAP
            wraps += int(steps.sum())
            routing = records >> 12 & 15
            kept = (~invalid & ~marker) | (marker & (routing > 0))
            dtime = np.where(marker, 0, ADC_BINS - 1 - (records >> 16 & 0xFFF).astype(np.int64))
            channel = np.where(marker, MARKER + routing, routing)
            yield Events(
                time=time[kept],
                dtime=dtime[kept].astype(np.int32),
                channel=channel[kept].astype(np.uint8),
            )

    def _read_records(self) -> Iterator[np.ndarray[tuple[int], np.dtype[np.uint32]]]:
        with open_file(self.path) as stream:
            stream.seek(4)
            while raw := stream.read(_BLOCK):
                yield np.frombuffer(raw[: len(raw) // 4 * 4], "<u4")


def _read_settings(path: Path) -> dict[str, float]:
    """Return the range and gain of the time-to-amplitude converter from the .set file."""
    beside = [path.with_suffix(suffix) for suffix in (".set", ".SET")]
    place = next((place for place in beside if place.exists()), None)
    if place is None:
        message = (
            f"{path}: needs the settings file {beside[0].name} that was saved with it, "
            "without which its start-stop times have no unit; put it beside"
        )
        raise TagFileError(message)
    with open_file(place) as stream:
        raw = stream.read(_SET_BYTES)
    module = int.from_bytes(raw[:2], "little") >> 4 & 0xFF
    if module not in _MODULES:
        message = (
            f"{place}: the card must be of the SPC-130 to SPC-180 or SPC-830 family, but has "
            f"module code 0x{module:02X}; convert the file with the vendor's software or phconvert"
        )
        raise TagFileError(message)
    settings = {}
    text = raw.decode("latin-1")
    for name in ("SP_TAC_R", "SP_TAC_G"):
        match = re.search(_NUMBER % name, text)
        try:
            value = float(match[1]) if match else 0.0
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            message = f"{place}: must give {name} as a positive number, but does not"
            raise TagFileError(message)
        settings[name] = value
    return settings
