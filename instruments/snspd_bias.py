"""Bias sources of superconducting nanowire detectors. Not verified on hardware.

Sources: Photon Spot's script (``dacapi3``) as used in public code; QMI ``amp_sim_module.py``.
"""

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from qcodes.instrument import Instrument

from instruments.bases.bias_ramp import RampedBias
from instruments.links.vendor_library import optional_package
from instruments.srs.sim900 import SRSSIM900

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack

CODES = 65_535
"""Highest code of the 16-bit converters of both makers."""


class SpiPort(Protocol):
    """A serial peripheral interface: pyftdi's ``SpiPort``, or an object like it."""

    def write(self, out: bytes) -> object:
        """Send bytes within one chip-select."""


class LinePort(Protocol):
    """A module that speaks text lines."""

    def write(self, cmd: str) -> None:
        """Send a line that has no reply."""

    def ask(self, cmd: str) -> str:
        """Send a line and return its reply without terminator."""


class Frame(Protocol):
    """A mainframe with line ports by slot: `instruments.srs.sim900.SRSSIM900`, or one like it."""

    def port(self, slot: int) -> LinePort:
        """Return the way to the module in a slot."""


class PhotonSpotBias(RampedBias):
    """Photon Spot bias electronics: eight 16-bit voltages behind 10 kΩ, set over FTDI and SPI.

    The hardware cannot be read back: a channel's current is not known before it was first set,
    and setting begins at 0 then. Zero current is code 131 in the vendor's script; the sign of that
    offset is not certain, so that up to 2 µA may flow at "0". Nothing is sent when connecting.

    Parameters
    ----------
    name : str
    port : str or SpiPort
        pyftdi URL (``ftdi://ftdi:232h:SERIAL/1``; needs pyftdi), or an open port (chip select 0,
        mode 0, 1 MHz).
    max_currents : sequence of float
        Hard cap of each channel, A, in the order of the front panel: 1A, 1B, 2A, … 4B.
    ramp_rate : float
        A/s.
    ramp_step : float, optional
        Largest step, A.
    delatch_wait : float, optional
        s.
    """

    N_CHANNELS = 8
    OFFSET, SPAN, RESISTANCE = 0.010, 4.981 + 0.010, 10e3
    """V, V, Ω."""

    def __init__(
        self,
        name: str,
        port: str | SpiPort,
        max_currents: Sequence[float],
        ramp_rate: float,
        ramp_step: float = 0.01e-6,
        delatch_wait: float = 0.1,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        if len(max_currents) > self.N_CHANNELS:
            message = (
                f"{name}: `max_currents` must name at most {self.N_CHANNELS} channels, "
                f"but names {len(max_currents)}"
            )
            raise ValueError(message)
        super().__init__(name, max_currents, ramp_rate, ramp_step, delatch_wait, **kwargs)
        self._url = port if isinstance(port, str) else None
        self._controller: Any = None
        self._port: SpiPort | None = None if isinstance(port, str) else port
        self._connect()

    @property
    def full_scale(self) -> float:
        """Largest current that the hardware can set, A."""
        return (self.SPAN - self.OFFSET) / self.RESISTANCE

    def get_idn(self) -> dict[str, str | None]:
        """Return what is known without asking: the hardware has no identification."""
        return {"vendor": "Photon Spot", "model": None, "serial": self._url, "firmware": None}

    def close(self) -> None:
        """Close the link; the currents stay as they are."""
        if getattr(self, "_controller", None) is not None:
            self._controller.terminate()
        super().close()

    @classmethod
    def word(cls, channel: int, current: float) -> bytes:
        """Return the 24-bit word that sets a channel (from 1, as on the front panel)."""
        code = round(CODES * (current * cls.RESISTANCE + cls.OFFSET) / cls.SPAN)
        dac = cls.N_CHANNELS + 1 - channel
        return ((3 << 20) + ((dac - 1) << 16) + code).to_bytes(3, "big")

    def _write(self, channel: int, current: float) -> None:
        try:
            self._connect().write(self.word(channel, current))
        except OSError as error:
            if self._url is not None:
                self._port = None
            message = f"{self.name}: channel {channel} could not be set, the link fails: {error}"
            raise ConnectionError(message) from error

    def _connect(self) -> SpiPort:
        """Return the port, opened again if the link was lost."""
        if self._port is None:
            spi = optional_package("pyftdi.spi", "pip install -e '.[ftdi]'")
            if self._controller is not None:
                with contextlib.suppress(OSError):
                    self._controller.terminate()
            self._controller = spi.SpiController()
            self._controller.configure(self._url)
            self._port = self._controller.get_port(cs=0, freq=1e6, mode=0)
        return self._port


class QuantumOpusBias(RampedBias):
    """Quantum Opus amplifier and bias modules in a SIM900 mainframe, one channel each.

    25 µA full scale (2.5 V behind 100 kΩ). Currents are read back after each ramp.

    Parameters
    ----------
    name : str
    mainframe : str or SRSSIM900
        The open mainframe, or its name.
    slots : sequence of int
        Slot of each channel's module.
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
        mainframe: str | Frame,
        slots: Sequence[int],
        max_currents: Sequence[float],
        ramp_rate: float,
        ramp_step: float = 0.1e-6,
        delatch_wait: float = 0.1,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        if len(slots) != len(max_currents) or len(set(slots)) < len(slots):
            message = (
                f"{name}: `max_currents` must have one value per slot, and slots must differ, "
                f"but there are {len(max_currents)} values for slots {list(slots)}"
            )
            raise ValueError(message)
        super().__init__(name, max_currents, ramp_rate, ramp_step, delatch_wait, **kwargs)
        if isinstance(mainframe, str):
            mainframe = Instrument.find_instrument(mainframe, SRSSIM900)
        self._ports = tuple(mainframe.port(slot) for slot in slots)
        self._known = [self._read(number) for number in range(1, len(slots) + 1)]

    @property
    def full_scale(self) -> float:
        """Largest current that the hardware can set, A."""
        return 25e-6

    def get_idn(self) -> dict[str, str | None]:
        """Return the identification of the first module."""
        identity = self._ports[0].ask("+A?").strip()
        return {"vendor": "Quantum Opus", "model": identity, "serial": None, "firmware": None}

    def _write(self, channel: int, current: float) -> None:
        self._ports[channel - 1].write(f"+B{self._code(current)};")

    def _confirm(self, channel: int, current: float) -> None:
        found = self._read(channel)
        if self._code(found) != self._code(current):
            self._known[channel - 1] = found
            message = (
                f"{self.name}: channel {channel} must carry {current * 1e6:.4g} µA after the ramp, "
                f"but reads back {found * 1e6:.4g} µA; check the module and its front panel"
            )
            raise RuntimeError(message)

    def _read(self, channel: int) -> float:
        reply = self._ports[channel - 1].ask("+B?").strip()
        if not reply.isdigit() or int(reply) > CODES:
            message = (
                f"{self.name}: module {channel} must answer +B? with 0 to {CODES}, "
                f"but answers {reply!r}"
            )
            raise RuntimeError(message)
        return int(reply) / CODES * self.full_scale

    def _code(self, current: float) -> int:
        return round(CODES * current / self.full_scale)
