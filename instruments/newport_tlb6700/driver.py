"""New Focus (Newport) TLB-6700 tunable-laser controller with a TLB-6728 head.

Command set from public drivers (QMI ``tlb670x.py``, xkstein ``tlb6700.py``). Not verified on
hardware.
"""

import re
import time
from threading import Event, Lock
from typing import TYPE_CHECKING

from qcodes.instrument import Instrument
from qcodes.validators import Bool, Numbers

from instruments.bases.parameters import Declared, add_parameters
from instruments.newport_tlb6700.conversation import NewportPort, TLB6700Error, TLB6700Link
from instruments.newport_tlb6700.usb import open_port

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack

_IDENTITY = re.compile(r"(?P<vendor>\S+)[ _](?P<model>6700) (?P<firmware>v\S+) .*(?P<serial>SN\d+)")


def _switch(header: str, meaning: str) -> Declared[bool]:
    return Declared[bool](
        get=lambda self: self._get_switch(f"{header}?"),
        set=lambda self, on: self._link.tell(f"{header} {int(on)}"),
        vals=Bool(),
        doc=f"Whether {meaning} (``{header}``).",
    )


def _source(header: str, unit: str, highest: str, *, scale: float = 1.0) -> Declared[float]:
    """Declare a set value of at most the attribute `highest`."""
    return Declared[float](
        unit=unit,
        get=lambda self: self._link.number(f"{header}?") * scale,
        set=lambda self, value: self._link.tell(f"{header} {value / scale:.6g}"),
        vals=lambda self: Numbers(0.0, getattr(self, highest)),
        doc=f"Set value, at most {{{highest}}} {unit} (``{header}``).",
    )


def _sensed(header: str, unit: str, *, scale: float = 1.0) -> Declared[float]:
    return Declared[float](
        unit=unit,
        get=lambda self: self._sense(header) * scale,
        doc=f"Measured by the controller (``{header}``).",
    )


class NewportTLB6700(Instrument):
    """A TLB-6700 controller and its laser head.

    The head's limits are not in any public document, and asking for ``MAX`` would set them: they
    are mandatory here, and checked before anything is sent. Switching on emits only after the
    controller's own delay. The controller is put into remote mode when connecting and back into
    local mode by `close`; nothing else is changed.

    Thread-safe: one exchange at a time; `safe_state` interrupts a wavelength move of another
    thread. The port must belong to this object alone.

    Parameters
    ----------
    name : str
    address : str or NewportPort
        As for `instruments.newport_tlb6700.usb.open_port`, or an open link's object.
    wavelength_limits : (float, float)
        m.
    max_current : float
        Largest diode current, A.
    max_power : float
        Largest power in constant-power mode, W.
    wavelength_tolerance : float
        By how much the wavelength read back may differ after a move, m.
    move_timeout : float, optional
        Longest wavelength move, s.
    poll : float, optional
        Seconds between looks at a move.

    Raises
    ------
    ConnectionError, TimeoutError
        If the controller does not answer.
    RuntimeError
        If another device answers.
    """

    max_piezo_percent = 100.0

    wavelength = Declared[float](
        "vacuum wavelength",
        "m",
        vals=lambda self: Numbers(*self.wavelength_limits),
        doc="Measured by the head; setting moves, waits, and checks by reading back.",
    )
    emission = Declared[bool](
        "emission",
        get=lambda self: self._get_switch("OUTPut:STATe?"),
        vals=Bool(),
        doc="Light comes after the controller's switch-on delay.",
    )
    tracking = _switch("OUTPut:TRACk", "the set wavelength is followed")
    constant_power = _switch("SOURce:CPOWer", "power is held instead of diode current")
    fine_tuning_input = _switch("SYSTem:WINPut", "the analog input tunes the wavelength")
    current = _source("SOURce:CURRent:DIODe", "A", "max_current", scale=1e-3)
    power = _source("SOURce:POWer:DIODe", "W", "max_power", scale=1e-3)
    piezo_percent = _source("SOURce:VOLTage:PIEZo", "%", "max_piezo_percent")
    diode_current = _sensed("SENSe:CURRent:DIODe", "A", scale=1e-3)
    diode_power = _sensed("SENSe:POWer:DIODe", "W", scale=1e-3)
    diode_temperature_celsius = _sensed("SENSe:TEMPerature:DIODe", "°C")
    cavity_temperature_celsius = _sensed("SENSe:TEMPerature:CAVity", "°C")
    auxiliary_voltage = _sensed("SENSe:VOLTage:AUXiliary", "V")
    piezo_voltage = _sensed("SENSe:VOLTage:PIEZo", "V")
    fine_tuning_voltage = _sensed("SENSe:VOLTage:WAVEIN", "V")
    on_time = Declared[float](
        unit="s",
        get=lambda self: self._link.number("SYSTem:ENTIME?") * 60,
        doc="How long the laser has been on, in all.",
    )
    head = Declared[str](
        get=lambda self: self._link.ask("SYSTem:LASer:MODEL?"),
        doc="Model of the laser head.",
    )

    def __init__(
        self,
        name: str,
        address: str | NewportPort,
        wavelength_limits: tuple[float, float],
        max_current: float,
        max_power: float,
        wavelength_tolerance: float,
        move_timeout: float = 60.0,
        poll: float = 0.05,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        _check_limits(name, *wavelength_limits, max_current, max_power, wavelength_tolerance)
        super().__init__(name, **kwargs)
        self.wavelength_limits = wavelength_limits
        self.max_current, self.max_power = max_current, max_power
        self.wavelength_tolerance = wavelength_tolerance
        self.move_timeout = move_timeout
        self._poll = poll
        self._abort = Event()
        self._moving = Lock()
        port = open_port(address) if isinstance(address, str) else address
        self._link = TLB6700Link(port, self.name)
        self._idn = self._identify()
        self._sense_marks: dict[str, str] = {}
        self._sense("SENSe:WAVElength")
        self._link.tell("SYSTem:MCONtrol REM")
        add_parameters(self)
        self.connect_message()

    def get_idn(self) -> dict[str, str | None]:
        """Return vendor, model, serial number and firmware of the controller."""
        return self._idn

    def safe_state(self) -> None:
        """Switch emission off at once, check, and end a move that another thread waits for.

        Raises
        ------
        OSError, RuntimeError
            If the laser may still emit.
        """
        self._abort.set()
        try:
            self._switch_off()
        except (OSError, ValueError, RuntimeError):
            self._switch_off()  # on a fresh link, past what a spoiled exchange left

    def close(self) -> None:
        """Give the front panel free and close the link; emission stays as it is."""
        if hasattr(self, "_link"):
            try:
                self._link.tell("SYSTem:MCONtrol LOC")
            except (OSError, TLB6700Error) as error:
                self.log.warning("closing: %s", error)
            self._link.close()
        super().close()

    def _identify(self) -> dict[str, str | None]:
        reply = self._link.ask("*IDN?")
        match = _IDENTITY.match(reply)
        if match is None:
            message = (
                f"{self.name}: the device must be a TLB-6700, but identifies as {reply!r}; "
                "correct the address"
            )
            raise RuntimeError(message)
        return dict(match.groupdict())

    def _sense(self, command: str) -> float:
        """Measure; public drivers disagree, command by command, on a question mark."""
        if command in self._sense_marks:
            return self._link.number(command + self._sense_marks[command])
        try:
            value, mark = self._link.number(command), ""
        except (TLB6700Error, TimeoutError, ValueError):
            value, mark = self._link.number(f"{command}?"), "?"
        self._sense_marks[command] = mark
        return value

    @wavelength.getter
    def _get_wavelength(self) -> float:
        return self._sense("SENSe:WAVElength") * 1e-9

    @wavelength.setter
    def _move_to(self, wavelength: float) -> None:
        with self._moving:
            self._abort.clear()
            was_tracking = self._get_switch("OUTPut:TRACk?")
            self._link.tell(f"SOURce:WAVElength {wavelength * 1e9:.4f}")
            self._link.tell("OUTPut:TRACk 1")
            try:
                self._wait_for_arrival(wavelength)
            finally:
                if not was_tracking:
                    self._link.tell("OUTPut:TRACk 0")
            self._check_arrival(wavelength)

    def _wait_for_arrival(self, wavelength: float) -> None:
        """Wait until the controller reports no motion, which alone does not prove arrival."""
        deadline = time.monotonic() + self.move_timeout
        while (reply := self._link.ask("*OPC?").lstrip("+")) != "1":
            if reply != "0":
                message = f"{self.name}: *OPC? must be answered with 0 or 1, but is with {reply!r}"
                raise RuntimeError(message)
            if self._abort.wait(self._poll):
                message = f"{self.name}: the move to {wavelength * 1e9:.4f} nm was interrupted"
                raise RuntimeError(message)
            if time.monotonic() > deadline:
                message = (
                    f"{self.name}: the move to {wavelength * 1e9:.4f} nm must end within "
                    f"{self.move_timeout:g} s, but has not; raise `move_timeout` or check the head"
                )
                raise TimeoutError(message)

    def _check_arrival(self, wavelength: float) -> None:
        found = self._get_wavelength()
        if not abs(found - wavelength) <= self.wavelength_tolerance:
            message = (
                f"{self.wavelength.full_name} must be within {self.wavelength_tolerance * 1e9:g} "
                f"nm of {wavelength * 1e9:.4f} nm after the move, but is {found * 1e9:.4f} nm; "
                "check emission, key switch and head, then move again"
            )
            raise RuntimeError(message)

    @emission.setter
    def _set_emission(self, on: bool) -> None:
        self._link.tell(f"OUTPut:STATe {int(on)}")
        if self._get_switch("OUTPut:STATe?") != on:
            message = (
                f"{self.emission.full_name} must be {on} after setting it, but is {not on}; "
                "check key switch and interlock"
            )
            raise RuntimeError(message)

    def _switch_off(self) -> None:
        self._link.tell("OUTPut:STATe 0")
        is_on = self._get_switch("OUTPut:STATe?")
        self.emission.cache.set(is_on)
        if is_on:
            message = f"{self.name}: emission must be off, but is on; turn the key switch"
            raise RuntimeError(message)

    def _get_switch(self, query: str) -> bool:
        value = self._link.number(query)
        if value not in (0, 1):
            message = f"{self.name}: {query} must be answered with 0 or 1, but is with {value:g}"
            raise ValueError(message)
        return value == 1


def _check_limits(
    where: str, lowest: float, highest: float, current: float, power: float, tolerance: float
) -> None:
    if not 0 < lowest < highest < 1e-5:
        message = (
            f"{where}: `wavelength_limits` must be (lowest, highest) in m, below 10 µm, "
            f"but are ({lowest:g}, {highest:g})"
        )
        raise ValueError(message)
    positive = {"max_current": current, "max_power": power, "wavelength_tolerance": tolerance}
    for name, value in positive.items():
        if not value > 0:
            message = f"{where}: `{name}` must be positive, but is {value:g}"
            raise ValueError(message)
