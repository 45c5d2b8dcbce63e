"""Simulated Red Pitaya with rp-lockbox: four PIDs, of which one is wired to the world."""

from typing import ClassVar

from simulation.lab.clock import VirtualClock
from simulation.lab.ports.phase_lock import LockPort, LockSettings
from simulation.lab.servers.scpi_values import Number, ScpiError, Switch, Value, Word
from simulation.lab.servers.simulated_scpi import Call, Held, SimulatedScpi

READING_SECONDS = 0.02
"""Of a voltage over the network; chosen."""
_BOOL = Switch(shown=("OFF", "ON"))
_VOLT = Number(low=-1, high=1, form=".6g")
_SLEW = Number(low=0.058, high=1e6, form=".6g")
_SLOW_VOLT = Number(low=0, high=7, form=".6g")
_SLOW_INPUTS = ("AIN0", "AIN1", "AIN2", "AIN3")


class SimulatedLockbox(SimulatedScpi):
    """The lockbox behind its SCPI server.

    Relock and generator keep their settings, but switching one of them on is refused. Not
    simulated: the derivative's effect, acquisition commands.

    Parameters
    ----------
    port : LockPort
        Wired to the PID from `input_channel` to `output_channel`.
    clock : VirtualClock, optional
        On which readings take their time.
    """

    settings: ClassVar[tuple[Held, ...]] = (
        Held("PID:IN#:OUT#:SETPoint", "setpoint", _VOLT, 0.0),
        Held("PID:IN#:OUT#:KP", "kp", Number(low=0, high=4096, form=".8g"), 0.0),
        Held("PID:IN#:OUT#:KI", "ki", Number(low=0, high=7_812_499, form=".8g"), 0.0),
        Held("PID:IN#:OUT#:KD", "kd", Number(low=0, high=8191, form=".8g"), 0.0),
        Held("PID:IN#:OUT#:HOLD", "hold", _BOOL, False),
        Held("PID:IN#:OUT#:INVerted", "inverted", _BOOL, False),
        Held("PID:IN#:OUT#:INTegrator:RESet", "reset", _BOOL, True),
        Held("PID:IN#:OUT#:INTegrator:AUTOreset", "autoreset", _BOOL, False),
        Held("PID:IN#:OUT#:RELock", "relock", _BOOL, False),
        Held("PID:IN#:OUT#:RELock:STEPsize", "relock_step", _SLEW, 1.0),
        Held("PID:IN#:OUT#:RELock:MIN", "relock_min", _SLOW_VOLT, 0.0),
        Held("PID:IN#:OUT#:RELock:MAX", "relock_max", _SLOW_VOLT, 7.0),
        Held("PID:IN#:OUT#:RELock:INPut", "relock_input", Word(_SLOW_INPUTS), "AIN0"),
        Held("OUTput#:STATe", "generator", Switch(), False),
        Held("OUTput#:LIMit:MIN", "low", _VOLT, -1.0),
        Held("OUTput#:LIMit:MAX", "high", _VOLT, 1.0),
    )
    reply_end = b"\r\n"

    def __init__(
        self,
        port: LockPort | None = None,
        clock: VirtualClock | None = None,
        *,
        input_channel: int = 1,
        output_channel: int = 1,
    ) -> None:
        self.port = port or LockPort()
        self.clock = clock or VirtualClock()
        self._input, self._output = input_channel, output_channel
        self._frozen = 0.0
        super().__init__("REDPITAYA,INSTR2014,0,01-02")
        self._saved = dict(self.values)
        self.on("LOCKbox:CONFig:SAVE", set=lambda _: self._saved.update(self.values))
        self.on("LOCKbox:CONFig:LOAD", set=lambda _: self._load())
        self.on("ANALOG:IN#:VOLT", get=self._show_input)
        self.on("ANALOG:OUT#:VOLT", get=self._show_output)
        self._publish()

    def channels_of(self, setting: Held) -> tuple[int, ...]:
        """Return PIDs as input and output digit, or outputs."""
        return (11, 12, 21, 22) if setting.header.startswith("PID") else (1, 2)

    def channel_of(self, setting: Held, call: Call) -> int:
        """Return the PID or output that a call acts on."""
        return int("".join(map(str, call.suffixes)))

    def check(self, name: str, suffixes: tuple[int, ...], value: Value) -> Value:
        """Refuse to switch on what is not simulated."""
        if name in ("relock", "generator") and value:
            raise ScpiError(-221)
        return value

    def changed(self, name: str, suffixes: tuple[int, ...]) -> None:
        """Publish; holding freezes the output where it is."""
        if name == "hold" and self.value("hold", self._pid) and self.port.settings.engaged:
            self._frozen = self.port.read().output
        if name == "reset" and self.value("reset", self._pid):
            self._frozen = 0.0
        self._publish()

    def _load(self) -> None:
        self.values.update(self._saved)
        self._publish()

    @property
    def _pid(self) -> int:
        return 10 * self._input + self._output

    def _show_input(self, call: Call) -> str:
        self.clock.advance(READING_SECONDS)
        return f"{self.port.read().measured if call.channel == self._input else 0.0:.6g}"

    def _show_output(self, call: Call) -> str:
        self.clock.advance(READING_SECONDS)
        return f"{self.port.read().output if call.channel == self._output else 0.0:.6g}"

    def _publish(self) -> None:
        def of(name: str) -> float:
            return self.number(name, self._pid)

        # The lockbox takes measured − set-point, the port set-point − measured.
        sign = 1.0 if of("inverted") else -1.0
        gain = of("kp") or 1.0
        low, high = self.number("low", self._output), self.number("high", self._output)
        self.port.configure(
            LockSettings(
                engaged=not of("hold"),
                gain=sign * gain,
                proportional=of("kp") > 0,
                integral_rate=0.0 if of("reset") else of("ki") / gain,
                manual_output=min(max(self._frozen, low), high),
                setpoint=of("setpoint"),
                low=min(low, high),
                high=high,
            )
        )
