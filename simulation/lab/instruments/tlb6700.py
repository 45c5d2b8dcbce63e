"""A simulated TLB-6700 laser controller, at the level of its 64-byte USB packets."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from simulation.lab.clock import VirtualClock
from simulation.lab.instrument_faults import InstrumentFaults, LinkCutError
from simulation.lab.instruments.tlb6700_head import Motor, TLBHead
from simulation.lab.ports.steady import LaserPort
from simulation.lab.servers.scpi_grammar import spellings
from simulation.lab.servers.scpi_values import plain_number

PACKET = 64
"""Bytes of a USB packet."""

INVALID, SYNTAX, COUNT, RANGE, KEY_OFF = -2, 116, 126, 201, 902
NOT_FOLLOWING, PIEZO_HOT = 802, 804
WORDS = {
    0: "NO ERROR",
    INVALID: "COMMAND NOT VALID",
    SYNTAX: "SYNTAX ERROR",
    COUNT: "WRONG NUMBER OF PARAMETERS",
    RANGE: "VALUE OUT OF RANGE",
    KEY_OFF: "KEY SWITCH OFF",
    NOT_FOLLOWING: "WAVELENGTH FOLLOWING ERROR",
    PIEZO_HOT: "PIEZO OVER TEMPERATURE",
}
"""In the error queue; the controller's own words are not public."""

POLL = 0.5
"""Virtual seconds that pass when someone asks whether a move is over."""


class _RefusedError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class SimulatedTLB6700:
    """A controller with its head, as a `NewportPort`.

    Not simulated, and refused: scans, bins of settings, the panel.

    Every reply overwrites the start of one 64-byte buffer, so that bytes of longer earlier replies
    follow its CR LF. Motion takes virtual time; asking ``*OPC?`` lets it pass.

    Parameters
    ----------
    port : LaserPort, optional
    clock : VirtualClock, optional
    head : TLBHead, optional

    Attributes
    ----------
    key_on : bool
        The key switch.
    faults : InstrumentFaults
    leftovers : deque of str
        Lines that stand before the next reply, each in a packet of its own.
    joined : str
        Lines that stand before the next reply in its own packet, with their ends.
    log : list of str
        Commands received.
    """

    def __init__(
        self,
        port: LaserPort | None = None,
        clock: VirtualClock | None = None,
        head: TLBHead | None = None,
    ) -> None:
        self.port = port or LaserPort()
        self.clock = clock or VirtualClock()
        self.head = head or TLBHead()
        self.key_on = True
        self.leftovers: deque[str] = deque()
        self.joined = ""
        self.log: list[str] = []
        self._errors: deque[int] = deque()
        self._buffer = bytearray(PACKET)
        self._waiting: deque[bytes] = deque()
        self._is_open = False
        self._setpoint = self.port.state.wavelength * 1e9
        self._motor = Motor(self.clock, self._setpoint, self.head.speed)
        self._values = {
            "SOURce:CURRent:DIODe": 0.0,
            "SOURce:POWer:DIODe": 0.0,
            "SOURce:VOLTage:PIEZo": 50.0,
        }
        self._switches = dict.fromkeys(
            ("OUTPut:STATe", "OUTPut:TRACk", "SOURce:CPOWer", "SYSTem:WINPut", "SYSTem:MCONtrol"), 0
        )
        self._headers = {
            spelling: pattern for pattern in self._table() for spelling in spellings(pattern)
        }
        self.faults = InstrumentFaults(lambda header: header.lower().rstrip("?") in self._headers)
        self._publish()

    def open(self) -> None:
        """Open the link."""
        if self.faults.refuses_connections():
            message = "the simulated USB cable is unplugged"
            raise ConnectionError(message)
        self._is_open = True

    def close(self) -> None:
        """Close the link."""
        self._is_open = False

    def exchange(self, command: str) -> bytes:
        """Execute a command and return the first packet of the reply."""
        if not self._is_open:
            message = "the link is closed"
            raise ConnectionError(message)
        self.log.append(command)
        for line in self.leftovers:
            self._waiting.append(self._packet(f"{line}\r\n".encode("latin-1")))
        self.leftovers.clear()
        joined, self.joined = self.joined, ""
        try:
            text = f"{joined}{self._execute(command)}\r\n"
            reply = self.faults.spoil(text.encode("latin-1"))
        except LinkCutError:
            self._is_open = False
            raise
        if reply:
            self._waiting.append(self._packet(reply))
        if not self._waiting:
            message = f"no reply to {command!r}"
            raise TimeoutError(message)
        return self._waiting.popleft()

    def read(self) -> bytes:
        """Return one more waiting packet."""
        return self._waiting.popleft() if self._waiting else b""

    def fail(self, code: int) -> None:
        """Put an error into the queue, with what the controller does by itself then."""
        self._errors.append(code)
        if code == NOT_FOLLOWING:
            self._set_switch("OUTPut:TRACk", 0)
        elif code == PIEZO_HOT:
            self._values["SOURce:VOLTage:PIEZo"] = 0.0
        self._publish()

    def wavelength_nm(self) -> float:
        """Return where the motor is now, with the piezo, nm."""
        piezo = (self._values["SOURce:VOLTage:PIEZo"] / 100 - 0.5) * self.head.piezo_nm
        return self._motor.wavelength() + piezo

    def _packet(self, reply: bytes) -> bytes:
        self._buffer[: len(reply)] = reply[:PACKET]
        return bytes(self._buffer[:PACKET])

    def _execute(self, command: str) -> str:
        header, _, argument = command.strip().partition(" ")
        pattern = self._headers.get(header.rstrip("?").lower())
        try:
            if fault := self.faults.take("error"):
                self.fail(fault.code)
            if pattern is None:
                raise _RefusedError(INVALID)
            asks = header.endswith("?")
            if not asks and self._is_hit("refuse", pattern):
                raise _RefusedError(RANGE)
            if not asks and self._is_hit("stick", pattern):
                return "OK"
            reply = self._table()[pattern](argument.strip(), asks)
        except _RefusedError as refused:
            self.fail(refused.code)
            return {INVALID: "COMMAND NOT VALID", RANGE: "VALUE OUT OF RANGE"}.get(
                refused.code, f"ERROR {refused.code}"
            )
        self._publish()
        return reply

    def _is_hit(self, kind: str, pattern: str) -> bool:
        def acts_on(setting: str) -> bool:
            return self._headers[setting.lower().rstrip("?")] == pattern

        return self.faults.take(kind, acts_on=acts_on) is not None

    def _table(self) -> dict[str, Callable[[str, bool], str]]:
        """Return what answers each header: (argument, whether it is a query) → reply."""
        sensed = {
            "SENSe:CURRent:DIODe": self._diode_current,
            "SENSe:POWer:DIODe": self._diode_power,
            "SENSe:TEMPerature:DIODe": lambda: 20.0,
            "SENSe:TEMPerature:CAVity": lambda: 25.0,
            "SENSe:VOLTage:AUXiliary": lambda: 0.0,
            "SENSe:VOLTage:PIEZo": lambda: 1.2 * self._values["SOURce:VOLTage:PIEZo"],
            "SENSe:VOLTage:WAVEIN": lambda: 0.0,
            "SENSe:WAVElength": self.wavelength_nm,
        }
        return {
            **{header: _asked(value) for header, value in self._told().items()},
            "SOURce:WAVElength": self._wavelength,
            **{header: self._sensor(value) for header, value in sensed.items()},
            **{header: self._level(header) for header in self._values},
            **{header: self._switch(header) for header in self._switches},
        }

    def _told(self) -> dict[str, Callable[[], str]]:
        """Return what can be asked for only."""
        return {
            "*IDN": lambda: f"New_Focus 6700 v2.4 03/19/14 {self.head.serial}",
            "*OPC": self._ask_motion,
            "*STB": lambda: "128" if self._errors else "0",
            "ERRSTR": self._next_error,
            "SYSTem:LASer:MODEL": lambda: "TLB-6728",
            "SYSTem:LASer:SN": lambda: self.head.serial,
            "SYSTem:ENTIME": lambda: "60",
            "SOURce:TEMPerature:DIODe": lambda: "20.0000",
            "SOURce:TEMPerature:CAVity": lambda: "25.0000",
            "SOURce:WAVE:MAXVEL": lambda: f"{self.head.speed:.3f}",
            "SOURce:WAVE:ACTSCANS": lambda: "0",
        }

    def _sensor(self, value: Callable[[], float]) -> Callable[[str, bool], str]:
        def answer(argument: str, is_query: bool) -> str:
            if argument or ("?" if is_query else "") not in self.head.sense_forms:
                raise _RefusedError(INVALID)
            return f"{value():.4f}"

        return answer

    def _level(self, header: str) -> Callable[[str, bool], str]:
        highest = {
            "SOURce:CURRent:DIODe": self.head.max_current_ma,
            "SOURce:POWer:DIODe": self.head.max_current_ma * self.head.slope_mw_per_ma,
            "SOURce:VOLTage:PIEZo": 100.0,
        }[header]

        def answer(argument: str, is_query: bool) -> str:
            if is_query:
                _expect_nothing(argument)
                return f"{self._values[header]:.3f}"
            self._values[header] = _number(argument, 0.0, highest)
            return "OK"

        return answer

    def _switch(self, header: str) -> Callable[[str, bool], str]:
        def answer(argument: str, is_query: bool) -> str:
            if is_query:
                _expect_nothing(argument)
                return str(self._switches[header])
            if not argument:
                raise _RefusedError(COUNT)
            words = {"0": 0, "1": 1, "OFF": 0, "ON": 1, "LOC": 0, "REM": 1}
            if argument.upper() not in words:
                raise _RefusedError(SYNTAX)
            value = words[argument.upper()]
            if header == "OUTPut:STATe" and value and not self.key_on:
                raise _RefusedError(KEY_OFF)
            self._set_switch(header, value)
            return "OK"

        return answer

    def _set_switch(self, header: str, value: int) -> None:
        if header == "OUTPut:TRACk":
            if value:
                self._motor.go_to(self._setpoint)
            else:
                self._motor.stop()
            self.clock.at(self._motor.arrival, self._publish)
        self._switches[header] = value

    def _wavelength(self, argument: str, is_query: bool) -> str:
        if is_query:
            _expect_nothing(argument)
            return f"{self._setpoint:.3f}"
        self._setpoint = _number(argument, self.head.lowest, self.head.highest)
        if self._switches["OUTPut:TRACk"]:
            self._set_switch("OUTPut:TRACk", 1)
        return "OK"

    def _ask_motion(self) -> str:
        left = self._motor.arrival - self.clock.now()
        if left <= 0:
            return "1"
        self.clock.advance(min(left, POLL))
        return "0"

    def _diode_current(self) -> float:
        if not self._switches["OUTPut:STATe"]:
            return 0.0
        if self._switches["SOURce:CPOWer"]:
            power = self._values["SOURce:POWer:DIODe"]
            return self.head.threshold_ma + power / self.head.slope_mw_per_ma
        return self._values["SOURce:CURRent:DIODe"]

    def _diode_power(self) -> float:
        above = max(0.0, self._diode_current() - self.head.threshold_ma)
        return above * self.head.slope_mw_per_ma

    def _next_error(self) -> str:
        code = self._errors.popleft() if self._errors else 0
        return f"{code},{WORDS.get(code, 'ERROR')}"

    def _publish(self) -> None:
        self.port.state = replace(
            self.port.state,
            wavelength=self.wavelength_nm() * 1e-9,
            power=self._diode_power() * 1e-3,
            emission=bool(self._switches["OUTPut:STATe"]),
        )


def _asked(value: Callable[[], str]) -> Callable[[str, bool], str]:
    def answer(argument: str, is_query: bool) -> str:
        if not is_query:
            raise _RefusedError(INVALID)
        _expect_nothing(argument)
        return value()

    return answer


def _expect_nothing(argument: str) -> None:
    if argument:
        raise _RefusedError(COUNT)


def _number(text: str, low: float, high: float) -> float:
    if not text:
        raise _RefusedError(COUNT)
    if text.upper() in ("MIN", "MAX"):
        return low if text.upper() == "MIN" else high
    try:
        value = plain_number(text)
    except ValueError:
        raise _RefusedError(SYNTAX) from None
    if not low <= value <= high:
        raise _RefusedError(RANGE)
    return value
