"""A voltage source that speaks SCPI. Change headers, limits and identity to those of your manual.

SIMULATED_FILE is its simulated twin; TEST_FILE lets both talk over a socket:

    python -m pytest TEST_FILE

In a station file beside this one:

    instruments:
      eom_bias: {type: MODULE.VoltageSource, address: "TCPIP0::192.0.2.20::5025::SOCKET"}
    labkit:
      roles: {eom_bias: eom_bias}
"""

from typing import Any

from instruments.bases.parameters import add_parameters, number, switch
from instruments.bases.scpi import ScpiInstrument


class VoltageSource(ScpiInstrument):
    """Plays the role `instruments.roles.Actuator`; other roles: `instruments/roles.py`.

    The base class bounds every exchange by a time-out, reopens a broken link, and reads the error
    queue after every command, so that a refused one raises.
    """

    identity = "^Your Company,Model 1,"  # what the reply to *IDN? must contain

    # One row per parameter: header, unit, label, limits. SI units; more kinds of rows stand in
    # instruments/bases/parameters.py, and @voltage.setter gives a row code of its own.
    voltage = number("SOUR:VOLT", "V", "Voltage", -10, 10, form=".6g")
    output = switch("OUTP", "Output", doc="Whether the voltage is at the connector.")

    def __init__(self, name: str, address: str, **kwargs: Any) -> None:
        super().__init__(name, address, **kwargs)
        add_parameters(self)

    def safe_state(self) -> None:
        """Go to 0 V with the output off; from any state, at once, again and again.

        Whatever ends a run calls this, so it must not read first or wait.
        """
        self.write("SOUR:VOLT 0")
        self.write("OUTP 0")
