"""Stanford Research Systems DG645 digital delay generator. Not verified on hardware.

Source: commands and ranges of the maker's own driver (srsinst-dg645 0.1.0); error numbers and bits
of ``INSR?`` from public scripts.
"""

from typing import TYPE_CHECKING

from instruments.bases.parameters import Declared, add_parameters, choice, number
from instruments.bases.safe_state import SafeAtOnce
from instruments.links.visa import VisaLink

if TYPE_CHECKING:
    from typing import Unpack

    from qcodes.instrument import VisaInstrumentKWArgs

OUTPUTS = {"AB": (2, 3), "CD": (4, 5), "EF": (6, 7), "GH": (8, 9)}
"""Delay channels at which an output rises and falls."""

LEVELS = {"T0": 0, "AB": 1, "CD": 2, "EF": 3, "GH": 4}
"""Numbers of the outputs in commands of levels."""

SOURCES = {
    "internal": "0", "rising": "1", "falling": "2", "single rising": "3", "single falling": "4",
    "single": "5", "line": "6",
}  # fmt: skip
"""Trigger sources: own rate, edges at the input, one shot, mains."""

ERRORS = {
    10: "illegal value", 11: "illegal mode", 12: "illegal delay", 13: "illegal link",
    14: "recall failed", 15: "not allowed in this state", 110: "illegal command",
    111: "undefined command", 126: "syntax error", 170: "communication error",
    171: "input overrun", 254: "too many errors",
}  # fmt: skip
"""Replies to ``LERR?``."""
MOST_ERRORS = 64

SINGLE, RATE_ERROR = "5", 2
MAX_DELAY = 2000.0
"""Largest delay that this driver sends, s."""
RESOLUTION = 1e-11
"""Of a read-back delay, s."""


class SRSDG645(SafeAtOnce, VisaLink):
    """SRS DG645; fulfils `instruments.roles.TriggerSource`.

    Connecting changes nothing but empties the error memory. Safe state: trigger source ``single``,
    so that nothing fires. Thread-safe: an exchange holds `lock` from command to error check.

    Parameters
    ----------
    name : str
        Name in the station.
    address : str
        VISA resource name; raw TCP port 5025.
    **kwargs
        Of `qcodes.instrument.VisaInstrument`.
    """

    identity = "Stanford Research Systems,DG645"
    default_terminator = "\r\n"

    rate = number("TRAT", "Hz", "Triggers per second", 1e-3, 1e6, form=".9g")
    source = choice("TSRC", "Trigger source", SOURCES)
    threshold = number("TLVL", "V", "Threshold of the trigger input", -3.5, 3.5, form=".3f")
    holdoff = number("HOLD", "s", "Least time between triggers", 0.0, 1000.0, form=".12g")
    time_base = Declared[str](
        "Time base",
        get="TIMB?",
        val_mapping={"internal": "0", "OCXO": "1", "rubidium": "2", "external": "3"},
    )

    def __init__(self, name: str, address: str, **kwargs: "Unpack[VisaInstrumentKWArgs]") -> None:
        super().__init__(name, address, **kwargs)
        add_parameters(self)
        try:
            self._tell_old_errors()
        except BaseException:
            self.close()
            raise

    def write_raw(self, cmd: str) -> None:
        """Send a command and ask whether it was executed.

        Raises
        ------
        RuntimeError
            If it was not.
        """
        with self.lock:
            self._tell_old_errors()
            super().write_raw(cmd)
            code = int(self.ask_raw("LERR?"))
        if code:
            message = f"{self.name} refused {cmd!r}: {_meaning(code)}"
            raise RuntimeError(message)

    def _tell_old_errors(self) -> None:
        """Empty the error memory: what is in it is not due to the next command."""
        old: list[int] = []
        while code := int(self.ask_raw("LERR?")):
            old.append(code)
            if len(old) >= MOST_ERRORS:
                message = f"{self.name}: the error memory does not empty when read; power-cycle it"
                raise RuntimeError(message)
        if old:
            told = "; ".join(map(_meaning, old))
            self.log.warning("%s had old errors; they were taken out: %s", self.name, told)

    def set_delay(self, output: str, start: float, width: float) -> None:
        """Let an output rise `start` s after the trigger and fall `width` s later; read back.

        Raises
        ------
        ValueError
            If there is no such output, or a time is out of range.
        RuntimeError
            If the read-back differs.
        """
        if output not in OUTPUTS:
            message = f"{self.name}: `output` must be one of {', '.join(OUTPUTS)}, not {output!r}"
            raise ValueError(message)
        if not (0 <= start <= MAX_DELAY and 0 < width <= MAX_DELAY):
            message = (
                f"{self.name}: `start` must be 0 to {MAX_DELAY:g} s and `width` above 0, "
                f"but are {start:g} and {width:g} s"
            )
            raise ValueError(message)
        rise, fall = OUTPUTS[output]
        with self.lock:
            for channel, reference, delay in ((rise, 0, start), (fall, rise, width)):
                self.write(f"DLAY {channel},{reference},{delay:.12f}")
                linked, now = self.ask(f"DLAY? {channel}").split(",")
                if int(linked) != reference or not abs(float(now) - delay) <= RESOLUTION:
                    message = (
                        f"{self.name}: channel {channel} must be {delay:g} s after channel "
                        f"{reference}, but reads {now} s after channel {linked}"
                    )
                    raise RuntimeError(message)

    def delay(self, output: str) -> tuple[float, float]:
        """Return start and width of an output, s."""
        rise, fall = OUTPUTS[output]
        start, width = (float(self.ask(f"DLAY? {n}").split(",")[1]) for n in (rise, fall))
        return start, width

    def set_level(self, output: str, amplitude: float, offset: float = 0.0) -> None:
        """Set an output's step (0.5 to 5 V) and its low level (±3 V).

        The load that these numbers count for is not published: measure them at yours.
        """
        if output not in LEVELS or not 0.5 <= amplitude <= 5.0 or not -3.0 <= offset <= 3.0:
            message = (
                f"{self.name}: `output` must be one of {', '.join(LEVELS)}, `amplitude` 0.5 to 5 V "
                f"and `offset` -3 to 3 V, but are {output!r}, {amplitude:g} V, {offset:g} V"
            )
            raise ValueError(message)
        self.write(f"LAMP {LEVELS[output]},{amplitude:.2f}")
        self.write(f"LOFF {LEVELS[output]},{offset:.2f}")

    def set_running(self, *, on: bool) -> None:
        """Fire at `rate`, or not at all; checked by reading back."""
        with self.lock:
            self.source("internal" if on else "single")
            if self.is_running() != on:
                message = f"{self.name}: firing must be {'on' if on else 'off'}, but is not"
                raise RuntimeError(message)

    def is_running(self) -> bool:
        """Ask the instrument whether it fires by itself."""
        return self.source() == "internal"

    def missed_triggers(self) -> bool:
        """Tell whether a trigger came while busy since this was last asked (``INSR?`` bit 1)."""
        return bool(int(self.ask("INSR?")) & RATE_ERROR)

    def _send_ahead(self) -> None:
        self.send_blindly(f"TSRC {SINGLE}")

    def _make_safe(self) -> None:
        VisaLink.write_raw(self, f"TSRC {SINGLE}")
        if (found := self.ask_raw("TSRC?").strip()) != SINGLE:
            message = f"{self.name}: the trigger source must be single ({SINGLE}), but is {found}"
            raise RuntimeError(message)
        self.source.cache.set("single")


def _meaning(code: int) -> str:
    return ERRORS.get(code, f"error {code}")
