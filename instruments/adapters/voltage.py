"""An actuator's voltage from any QCoDeS parameter, with the source's output switch."""

from typing import TYPE_CHECKING

from instruments.adapters.switching import OnOff, Word
from instruments.analog import VoltageActuator

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack


class ParameterVoltage(VoltageActuator):
    """A `VoltageActuator` that knows its source's output; fulfils `instruments.roles.Actuator`.

    While the output is off, no voltage is read or set: what is on the wire is not known then. Safe
    state: `rest`, approached at the slew rate; an output that is off stays off.

    Parameters
    ----------
    name : str
    source : str
        Voltage parameter, as ``gs200.voltage``.
    minimum, maximum : float
        V.
    slew_rate : float
        V/s.
    rest : float
        Voltage in the safe state, V.
    output : str
        Parameter that switches the source's output.
    output_on, output_off : bool, int or str, optional
        Its values.
    """

    model = "voltage of a parameter"

    def __init__(
        self,
        name: str,
        source: str,
        minimum: float,
        maximum: float,
        slew_rate: float,
        rest: float,
        output: str,
        output_on: Word = True,
        output_off: Word = False,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        self._output_switch = OnOff(output, output_on, output_off)
        super().__init__(name, source, minimum, maximum, slew_rate, rest, **kwargs)

    def safe_state(self) -> None:
        """Go to the rest voltage at the slew rate; returns after 1 s at the latest."""
        if self._output_switch.is_on():
            super().safe_state()

    def drive(self, volts: float) -> None:
        """Ramp to a voltage.

        Raises
        ------
        RuntimeError
            If the source's output is off.
        """
        self._require_output()
        super().drive(volts)

    def read(self) -> float:
        """Return the drive voltage, V.

        Raises
        ------
        RuntimeError
            If the source's output is off.
        """
        self._require_output()
        return super().read()

    def _require_output(self) -> None:
        if not self._output_switch.is_on():
            switch = self._output_switch.parameter.full_name
            message = (
                f"{self.name}: the source's output must be on, but is off, so that its voltage is "
                f"not known; switch it on by {switch} in the entry of its instrument"
            )
            raise RuntimeError(message)
