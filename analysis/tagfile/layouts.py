"""One table of 32-bit record layouts: which bits mean what, per PicoQuant record type.

Source: PicoQuant tag dictionary and TTTR record formats (``TTResultFormat_TTTRRecType``).
"""

from dataclasses import dataclass
from typing import Literal

SYNC = 64
"""Channel number labkit gives to sync records (T2); inputs keep their number in the file, 0-63."""

MARKER = 64
"""A marker record with marker bits m (1-15) gets channel ``MARKER + m``."""

Family = Literal["hydra", "pico"]
Mode = Literal["T2", "T3"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLayout:
    """How one record type packs its 32 bits (most significant first).

    ``hydra``: special 1, channel 6, then T2 time 25 or T3 dtime 15 and nsync 10 bits.
    ``pico``: channel 4, then T2 time 28 or T3 dtime 12 and nsync 16 bits; channel 15 is special.

    Attributes
    ----------
    device : str
        Device name as in the vendor's ``HW_Type``, or family name.
    record_type : int
        ``TTResultFormat_TTTRRecType`` of the PTU header.
    mode : {"T2", "T3"}
    family : {"hydra", "pico"}
    wrap : int
        What one overflow adds: T2 ticks, or T3 sync numbers.
    counted_overflows : bool
        True if the time (nsync) field of an overflow record holds the number of wraps
        (0 meaning 1); False if every overflow record is exactly one wrap.
    """

    device: str
    record_type: int
    mode: Mode
    family: Family
    wrap: int
    counted_overflows: bool

    @property
    def max_channel(self) -> int:
        """Largest input channel number the layout can hold."""
        return 62 if self.family == "hydra" else 14

    @property
    def time_bits(self) -> int:
        """Width of the field with T2 ticks or T3 sync numbers, the lowest bits of a record."""
        if self.family == "hydra":
            return 25 if self.mode == "T2" else 10
        return 28 if self.mode == "T2" else 16

    @property
    def dtime_bins(self) -> int:
        """Number of T3 start-stop bins (0 in T2)."""
        if self.mode == "T2":
            return 0
        return 32768 if self.family == "hydra" else 4096

    def __str__(self) -> str:
        return f"{self.device} {self.mode} (0x{self.record_type:08X})"


def _hydra(device: str, record_type: int, mode: Mode, *, version: int = 2) -> RecordLayout:
    wrap_t2 = 33_552_000 if version == 1 else 33_554_432
    return RecordLayout(
        device=device,
        record_type=record_type,
        mode=mode,
        family="hydra",
        wrap=wrap_t2 if mode == "T2" else 1024,
        counted_overflows=version != 1,
    )


def _pico(record_type: int, mode: Mode) -> RecordLayout:
    return RecordLayout(
        device="PicoHarp 300",
        record_type=record_type,
        mode=mode,
        family="pico",
        wrap=210_698_240 if mode == "T2" else 65_536,
        counted_overflows=False,
    )


LAYOUTS: dict[int, RecordLayout] = {
    layout.record_type: layout
    for layout in (
        _pico(0x00010203, "T2"),
        _pico(0x00010303, "T3"),
        _hydra("HydraHarp 400 v1", 0x00010204, "T2", version=1),
        _hydra("HydraHarp 400 v1", 0x00010304, "T3", version=1),
        _hydra("HydraHarp 400", 0x01010204, "T2"),
        _hydra("HydraHarp 400", 0x01010304, "T3"),
        _hydra("TimeHarp 260 N", 0x00010205, "T2"),
        _hydra("TimeHarp 260 N", 0x00010305, "T3"),
        _hydra("TimeHarp 260 P", 0x00010206, "T2"),
        _hydra("TimeHarp 260 P", 0x00010306, "T3"),
        _hydra("MultiHarp 150 / PicoHarp 330", 0x00010207, "T2"),
        _hydra("MultiHarp 150 / PicoHarp 330", 0x00010307, "T3"),
    )
}
"""Every record type labkit reads, by ``TTResultFormat_TTTRRecType``."""

TIMEHARP_260N_T2 = LAYOUTS[0x00010205]
TIMEHARP_260N_T3 = LAYOUTS[0x00010305]
GENERIC_T2 = LAYOUTS[0x00010207]
GENERIC_T3 = LAYOUTS[0x00010307]


def find_layout(record_type: int) -> RecordLayout:
    """Return the layout of a record type.

    Raises
    ------
    KeyError
        If the type is not in the table; the message lists the known ones.
    """
    try:
        return LAYOUTS[record_type]
    except KeyError:
        known = ", ".join(f"0x{key:08X} ({LAYOUTS[key].device})" for key in sorted(LAYOUTS))
        message = f"record type 0x{record_type & 0xFFFFFFFF:08X} is not known; known are {known}"
        raise KeyError(message) from None
