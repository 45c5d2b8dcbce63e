"""SRS SIM928 isolated voltage sources in a SIM900 as detector bias. Not verified on hardware.

Sources: manual rev. 2.0 (specification, commands); public drivers for the bits of ``OVSR?``. The
formats of the replies to ``VOLT?`` and ``EXON?``, and the output at power-on, are not published:
any number, and 0, 1, OFF or ON, are understood.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qcodes.instrument import Instrument

from instruments.bases.bias_ramp import RampedBias
from instruments.srs.sim900 import SRSSIM900

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack

    from instruments.snspd_bias import Frame

MAX_VOLTS, MAX_CURRENT, STEP = 20.0, 10e-3, 1e-3
"""V, A, V."""

EVENTS = {
    1: "the output was overloaded",
    2: "the voltage was too high",
    4: "the battery was switched over: the output may have stepped",
    8: "a battery is faulty",
}
"""Meaning of the bits of ``OVSR?``."""


class SRSSIM928Bias(RampedBias):
    """Detector bias by SIM928 modules, one per channel, each through a series resistor.

    Voltages are read back after each ramp. An output is switched on at 0 V only. Safe state: 0 V,
    outputs off. Connecting changes nothing.

    Parameters
    ----------
    name : str
    mainframe : str or SRSSIM900
        The open mainframe, or its name.
    slots : sequence of int
        Slot of each channel's module.
    resistances : sequence of float
        In series with each detector, Ω.
    max_currents : sequence of float
        Hard cap of each channel, A.
    ramp_rate : float
        A/s.
    ramp_step : float, optional
        Largest step, A.
    delatch_wait : float, optional
        s.
    """

    def __init__(
        self,
        name: str,
        mainframe: "str | Frame",
        slots: Sequence[int],
        resistances: Sequence[float],
        max_currents: Sequence[float],
        ramp_rate: float,
        ramp_step: float = 0.1e-6,
        delatch_wait: float = 0.1,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        same = len(slots) == len(max_currents) == len(resistances)
        if not same or len(set(slots)) < len(slots):
            message = (
                f"{name}: `max_currents` and `resistances` must have one value per slot, and slots "
                f"must differ, but there are {len(max_currents)} and {len(resistances)} values for "
                f"slots {list(slots)}"
            )
            raise ValueError(message)
        for ohms, cap in zip(resistances, max_currents, strict=True):
            if not (ohms > 0 and cap * ohms <= MAX_VOLTS):
                message = (
                    f"{name}: a current of {cap:g} A through {ohms:g} Ω must need at most "
                    f"{MAX_VOLTS:g} V; correct `max_currents` or `resistances`"
                )
                raise ValueError(message)
        super().__init__(name, max_currents, ramp_rate, ramp_step, delatch_wait, **kwargs)
        if isinstance(mainframe, str):
            mainframe = Instrument.find_instrument(mainframe, SRSSIM900)
        self._ports = tuple(mainframe.port(slot) for slot in slots)
        self._ohms = tuple(resistances)
        for slot, port in zip(slots, self._ports, strict=True):
            if "SIM928" not in (reply := port.ask("*IDN?")):
                message = (
                    f"{name}: the module in slot {slot} must be a SIM928, but answers {reply!r}; "
                    "correct the slot"
                )
                raise ValueError(message)
        self._known = [self._read(number) for number in range(1, len(slots) + 1)]

    @property
    def full_scale(self) -> float:
        """Largest current that the hardware can set, A."""
        return MAX_CURRENT

    def get_idn(self) -> dict[str, str | None]:
        """Return the identification of the first module."""
        vendor, model, serial, firmware = (*self._ports[0].ask("*IDN?").split(","), *[None] * 4)[:4]
        return {"vendor": vendor, "model": model, "serial": serial, "firmware": firmware}

    def events(self, channel: int) -> tuple[str, ...]:
        """Return what happened to a channel's output since this was last asked."""
        bits = int(self._ports[self._index(channel)].ask("OVSR?"))
        return tuple(text for bit, text in EVENTS.items() if bits & bit)

    def _write(self, channel: int, current: float) -> None:
        port = self._ports[channel - 1]
        if not self._is_on(channel):
            port.write("VOLT 0.000")
            if current == 0:
                return
            port.write("OPON")
        port.write(f"VOLT {current * self._ohms[channel - 1]:.3f}")

    def _confirm(self, channel: int, current: float) -> None:
        error = int(self._ports[channel - 1].ask("LEXE?"))
        found = self._read(channel)
        if error or not abs(found - current) * self._ohms[channel - 1] <= STEP:
            self._known[channel - 1] = found
            message = (
                f"{self.name}: channel {channel} must carry {current * 1e6:.4g} µA after the ramp, "
                f"but reads back {found * 1e6:.4g} µA (LEXE {error}); check the module"
            )
            raise RuntimeError(message)

    def _drop(self, channel: int) -> None:
        super()._drop(channel)
        self._ports[channel - 1].write("OPOF")
        if self._is_on(channel):
            message = f"{self.name}: the output of channel {channel} did not switch off"
            raise RuntimeError(message)

    def _read(self, channel: int) -> float:
        """Return what a channel carries, A: 0 while its output is off."""
        if not self._is_on(channel):
            return 0.0
        reply = self._ports[channel - 1].ask("VOLT?")
        try:
            return float(reply) / self._ohms[channel - 1]
        except ValueError:
            message = f"{self.name}: module {channel} must answer VOLT? with V, but says {reply!r}"
            raise RuntimeError(message) from None

    def _is_on(self, channel: int) -> bool:
        reply = self._ports[channel - 1].ask("EXON?").strip().upper()
        if reply not in {"0", "1", "OFF", "ON"}:
            message = f"{self.name}: module {channel} must answer EXON? with 0 or 1, not {reply!r}"
            raise RuntimeError(message)
        return reply in {"1", "ON"}
