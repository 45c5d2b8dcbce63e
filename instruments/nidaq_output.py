"""Analog outputs of a National Instruments DAQ card through nidaqmx (optional dependency).

Not verified on hardware.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Any

from qcodes.instrument import Instrument, InstrumentChannel
from qcodes.validators import Numbers

from instruments.bases.parameters import Declared, add_parameters
from instruments.links.vendor_library import optional_package

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack

INPUT_RANGE = 10.0
"""V to either side, that an input measures: more than an output may be at, to tell it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputLine:
    """One analog output.

    Attributes
    ----------
    line : str
        As the driver names it, like ``Dev1/ao0``.
    minimum, maximum : float
        V.
    initial : float
        What the output is at when connecting, V: the card cannot be asked (0 after power-up).
    read_back : str
        Analog input that a wire leads from the output to, like ``Dev2/ai0``, or an internal channel
        of a card that has them, like ``Dev1/_ao0_vs_aognd``; ``""``: none.
    tolerance : float
        By how much the input may differ from what was written, V.
    """

    line: str
    minimum: float
    maximum: float
    initial: float
    read_back: str = ""
    tolerance: float = 0.02


class NIDAQChannel(InstrumentChannel["NIDAQOutput"]):
    """One analog output, whose voltage is what was last written.

    With a `read_back` it is measured when connecting and after each write, which fails if the
    output has not followed.

    Parameters
    ----------
    parent : NIDAQOutput
    name : str
    output : OutputLine
    """

    voltage = Declared[float](
        "{line} voltage",
        "V",
        vals=lambda self: Numbers(self.output.minimum, self.output.maximum),
        doc="Voltage last written; before that, the measured or else the configured initial one.",
    )

    def __init__(self, parent: "NIDAQOutput", name: str, output: OutputLine) -> None:
        super().__init__(parent, name)
        self.output, self.line = output, output.line
        self._task: Any = None
        add_parameters(self)
        self.voltage.cache.set(self._initial())

    def stop(self) -> None:
        """Give the output free; the card holds its voltage."""
        if self._task is not None:
            with contextlib.suppress(Exception):  # a task whose card is gone cannot be closed
                self._task.close()
            self._task = None

    @voltage.setter
    def _write(self, voltage: float) -> None:
        with self.parent.lock:
            try:
                self._opened().write(voltage, auto_start=True)
            except Exception as error:
                self.stop()
                message = f"{self.full_name}: {self.line} could not be set: {error}"
                raise ConnectionError(message) from error
            if self.output.read_back:
                self._check_followed(voltage)

    def _check_followed(self, voltage: float) -> None:
        found = self._measured()
        if not abs(found - voltage) <= self.output.tolerance:
            message = (
                f"{self.full_name}: {self.line} must be at {voltage:.3f} V, as written, but "
                f"{self.output.read_back} measures {found:.3f} V; check card, wires and `tolerance`"
            )
            raise RuntimeError(message)

    def _initial(self) -> float:
        """Return the voltage when connecting: as measured, if it can be."""
        output = self.output
        if not output.read_back:
            return output.initial
        found = self._measured()
        if not output.minimum - output.tolerance <= found <= output.maximum + output.tolerance:
            message = (
                f"{self.full_name}: {self.line} must be within {output.minimum:g} to "
                f"{output.maximum:g} V when connecting, but {output.read_back} measures "
                f"{found:.3f} V; bring it there by hand, or check the wire"
            )
            raise ValueError(message)
        return min(max(found, output.minimum), output.maximum)

    def _measured(self) -> float:
        """Return what the input measures, V; two tasks of one card's inputs exclude each other."""
        try:
            task = self.parent.library.Task()
            try:
                task.ai_channels.add_ai_voltage_chan(
                    self.output.read_back, min_val=-INPUT_RANGE, max_val=INPUT_RANGE
                )
                return float(task.read())
            finally:
                task.close()
        except Exception as error:
            message = f"{self.full_name}: {self.output.read_back} could not be read: {error}"
            raise ConnectionError(message) from error

    def _opened(self) -> Any:
        """Return the task, made again if the last one failed."""
        if self._task is None:
            self._task = self.parent.library.Task()
            self._task.ao_channels.add_ao_voltage_chan(
                self.line, min_val=self.output.minimum, max_val=self.output.maximum
            )
        return self._task


class NIDAQOutput(Instrument):
    """Analog outputs of DAQ cards, each one a channel with a `voltage`.

    Nothing is written when connecting, and the voltages stay when closing. What hangs on an output
    gets its slew limit and safe state in `instruments.analog`.

    Thread-safe: one write at a time.

    Parameters
    ----------
    name : str
    outputs : mapping of str to mapping
        Name of each channel, and its `OutputLine` fields.
    library : module or object, optional
        By default the installed ``nidaqmx``; an object needs ``Task``.
    """

    def __init__(
        self,
        name: str,
        outputs: Mapping[str, Mapping[str, Any]],
        library: Any = None,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        lines = {channel: OutputLine(**fields) for channel, fields in outputs.items()}
        _check_lines(name, lines)
        if library is None:
            library = optional_package("nidaqmx", "pip install -e '.[nidaq]'")
        super().__init__(name, **kwargs)
        self.library = library
        self.lock = RLock()
        self.channels = tuple(
            NIDAQChannel(self, channel, output) for channel, output in lines.items()
        )
        for submodule in self.channels:
            self.add_submodule(submodule.short_name, submodule)

    def get_idn(self) -> dict[str, str | None]:
        """Return vendor and model as far as known without asking."""
        return {"vendor": "NI", "model": "analog output", "serial": None, "firmware": None}

    def safe_state(self) -> None:
        """Do nothing: what hangs on the outputs has safe states of its own."""

    def close(self) -> None:
        """Give the outputs free; the voltages stay."""
        for channel in getattr(self, "channels", ()):
            channel.stop()
        super().close()


def _check_lines(name: str, lines: Mapping[str, OutputLine]) -> None:
    used: dict[str, str] = {}
    for channel, output in lines.items():
        if not output.tolerance > 0:
            message = (
                f"{name}: `tolerance` of {channel} must be above 0 V, but is {output.tolerance:g}"
            )
            raise ValueError(message)
        if not output.minimum <= output.initial <= output.maximum:
            message = (
                f"{name}: `initial` of {channel} must be {output.minimum:g} to "
                f"{output.maximum:g} V, but is {output.initial:g} V"
            )
            raise ValueError(message)
        for line in filter(None, (output.line, output.read_back)):
            if line in used:
                message = (
                    f"{name}: each line must be used once, but {line} is used by {used[line]} and "
                    f"{channel}"
                )
                raise ValueError(message)
            used[line] = channel
