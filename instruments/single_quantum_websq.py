"""Single Quantum WebSQ (Atlas) driver of nanowire detectors. Not verified on hardware.

Source: the maker's QCoDeS driver (2020), as far as it shows the protocol; no protocol document is
public. Limits of each channel are what the device tells, if it does.
"""

import math
import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from instruments.bases.bias_ramp import RampedBias
from instruments.links.json_stream import JsonStream

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack

END = b"\x17"
COUNTS_PORT = 12_345
TOLERANCE = 0.01
"""Largest difference between set and told current, µA."""


class SingleQuantumWebSQ(RampedBias):
    """Bias currents of all detectors, and their count rates.

    The device takes the currents of all channels at once; a channel that is not ramped keeps what
    the device tells for it. Detectors are enabled at 0 only, before the first ramp. Safe state:
    currents at 0, detectors disabled. Connecting changes nothing.

    Parameters
    ----------
    name : str
    address : str
        Host name.
    max_currents : sequence of float
        Hard cap of each channel, A; one per detector of the device.
    ramp_rate : float
        A/s.
    ramp_step : float, optional
        Largest step, A.
    delatch_wait : float, optional
        s.
    port, counts_port : int, optional
    timeout : float, optional
        Longest wait for the device to tell what was set, s.

    Raises
    ------
    ValueError
        If the device has another number of detectors.
    """

    def __init__(
        self,
        name: str,
        address: str,
        max_currents: Sequence[float],
        ramp_rate: float,
        ramp_step: float = 0.1e-6,
        delatch_wait: float = 0.1,
        port: int = 12_000,
        counts_port: int = COUNTS_PORT,
        timeout: float = 2.0,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        super().__init__(name, max_currents, ramp_rate, ramp_step, delatch_wait, **kwargs)
        self._host, self._counts_port, self._timeout = address, counts_port, timeout
        self._link = JsonStream(address, port, END, timeout, name)
        try:
            number = int(self._ask("NumberOfDetectors"))
            if number != len(max_currents):
                message = (
                    f"{name}: `max_currents` must have one value per detector, {number}, "
                    f"but has {len(max_currents)}"
                )
                raise ValueError(message)
            self._known = [amperes if self._enabled() else 0.0 for amperes in self._currents()]
        except BaseException:
            self.close()
            raise

    @property
    def full_scale(self) -> float:
        """Infinite: the device's own bounds are known only by asking it."""
        return math.inf

    def get_idn(self) -> dict[str, str | None]:
        """Return what is known without asking: no query of versions is public."""
        return {"vendor": "Single Quantum", "model": "WebSQ", "serial": None, "firmware": None}

    def close(self) -> None:
        """Close the link; the currents stay as they are."""
        if hasattr(self, "_link"):
            self._link.close()
        super().close()

    def count_rates(self) -> tuple[float, ...]:
        """Return the clicks per second of all channels over the device's measurement period.

        Raises
        ------
        TimeoutError
            If no line of counts comes.
        """
        period = float(self._ask("InptMeasurementPeriod")) * 1e-3
        wait = self._timeout + 2 * period
        with socket.create_connection((self._host, self._counts_port), wait) as link:
            lines = link.makefile("r", encoding="ascii")
            lines.readline()  # may be the rest of one
            counts = [float(field) for field in lines.readline().split(",")[1:]]
        if len(counts) != self.n_channels:
            message = f"{self.name}: a line of {self.n_channels} counts must come, not {counts}"
            raise RuntimeError(message)
        return tuple(count / period for count in counts)

    def bias_voltages(self) -> tuple[float, ...]:
        """Return the voltages over all detectors in the device's unit; a latched one jumps."""
        told = self._link.told("BiasVoltage")
        self._link.send({"request": "BiasVoltage"})
        answered = self._link.wait_for(
            "BiasVoltage", lambda _: self._link.told("BiasVoltage") > told, self._timeout
        )
        return tuple(float(volts) for volts in _value(answered))

    def _write(self, channel: int, current: float) -> None:
        if not self._enabled():
            self._put_all([0.0] * self.n_channels)
            self._set("DetectorEnable", "DetectorEnable", True)
        currents = [amperes * 1e6 for amperes in self._currents()]
        currents[channel - 1] = current * 1e6
        self._put_all(currents)

    def _drop(self, channel: int) -> None:
        if self._enabled() or self._known[channel - 1]:
            super()._drop(channel)
        if channel == self.n_channels:
            self._set("DetectorEnable", "DetectorEnable", False)

    def _put_all(self, microamperes: list[float]) -> None:
        self._set("SetAllBiasCurrents", "BiasCurrent", microamperes)

    def _set(self, command: str, label: str, value: Any) -> None:
        """Send a command and wait until the device tells that it obeyed; a refusal is silence."""
        self._link.send({"command": command, "label": label, "value": value})
        try:
            self._link.wait_for(label, lambda now: _same(_value(now), value), self._timeout)
        except TimeoutError as error:
            message = f"{self.name} did not obey {command} {value}: {error}"
            raise RuntimeError(message) from error

    def _ask(self, label: str) -> Any:
        self._link.send({"request": "labelProps", "value": "None"})
        return _value(self._link.wait_for(label, lambda _: True, self._timeout))

    def _enabled(self) -> bool:
        return bool(self._ask("DetectorEnable"))

    def _currents(self) -> list[float]:
        """Return the currents that the device holds, A."""
        return [float(microamperes) * 1e-6 for microamperes in self._ask("BiasCurrent")]


def _value(told: Any) -> Any:
    """Return a label's value: told alone, or with unit and bounds."""
    return told["value"] if isinstance(told, Mapping) and "value" in told else told


def _same(now: Any, wanted: Any) -> bool:
    if isinstance(wanted, bool):
        return now is wanted
    return len(now) == len(wanted) and all(
        abs(have - want) <= TOLERANCE for have, want in zip(now, wanted, strict=True)
    )
