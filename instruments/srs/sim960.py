"""Stanford Research Systems SIM960 analog PID controller: directly, or in a SIM900 mainframe.

Facts are those of the manual, revision 2.3. Not verified on hardware. The module has no protection
against wrong supply voltages: power it from a mainframe, also when the line is direct.
"""

import re
from threading import RLock
from typing import TYPE_CHECKING

from qcodes.instrument import Instrument

from instruments.links.visa import VisaLink
from instruments.srs.sim900 import SRSSIM900
from instruments.srs.sim960_servo import SIM960Servo

if TYPE_CHECKING:
    from typing import Unpack

    from qcodes.instrument import InstrumentBaseKWArgs, VisaInstrumentKWArgs


class SRSSIM960(SIM960Servo, VisaLink):
    """SIM960 on a serial line of its own.

    Parameters
    ----------
    name : str
        Name in the station.
    address : str
        VISA resource name of the serial line.
    output_min, output_max : float
        Voltages that the actuator bears, V: they depend on the piezo and have no default.
    **kwargs
        Of `qcodes.instrument.VisaInstrument`.
    """

    identity = "SIM960"
    default_terminator = "\r\n"
    hardware_handshake = True

    def __init__(
        self,
        name: str,
        address: str,
        *,
        output_min: float,
        output_max: float,
        **kwargs: "Unpack[VisaInstrumentKWArgs]",
    ) -> None:
        super().__init__(name, address, **kwargs)
        try:
            self.prepare(output_min, output_max)
        except BaseException:
            self.close()
            raise

    def safe_state(self) -> None:
        """Release with the output at the middle of its limits, at once, and check.

        Raises
        ------
        OSError, RuntimeError
            If the output may be elsewhere.
        """
        self.send_blindly(*self.resting_lines())
        super().safe_state()

    def _send(self, line: str) -> None:
        VisaLink.write_raw(self, line)

    def _query(self, line: str) -> str:
        return VisaLink.ask_raw(self, line)


class SRSSIM960InFrame(SIM960Servo):
    """SIM960 in a slot of a SIM900 mainframe.

    Parameters
    ----------
    name : str
        Name in the station.
    mainframe : SRSSIM900 or str
        The mainframe's driver, or its name in the station.
    slot : int
        1 to 8.
    output_min, output_max : float
        Voltages that the actuator bears, V: they depend on the piezo and have no default.
    **kwargs
        Of `qcodes.instrument.Instrument`.
    """

    def __init__(
        self,
        name: str,
        mainframe: SRSSIM900 | str,
        slot: int,
        *,
        output_min: float,
        output_max: float,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        super().__init__(name, **kwargs)
        if isinstance(mainframe, str):
            mainframe = Instrument.find_instrument(mainframe, SRSSIM900)
        self.lock = RLock()
        self.port = mainframe.port(slot)
        reply = self.port.ask("*IDN?")
        if not re.search("SIM960", reply):
            message = (
                f"{name}: the module in slot {slot} of {mainframe.name} must be a SIM960, "
                f"but answers {reply!r}; correct the slot"
            )
            raise ValueError(message)
        self.prepare(output_min, output_max)

    def _send(self, line: str) -> None:
        self.port.write(line)

    def _query(self, line: str) -> str:
        return self.port.ask(line)
