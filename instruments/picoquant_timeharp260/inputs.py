"""Sync and detector inputs of the TimeHarp 260, with the triggers of its NANO and PICO models."""

from abc import abstractmethod
from dataclasses import dataclass

from qcodes.instrument import InstrumentChannel
from qcodes.validators import Bool, Enum, Ints, Numbers

from instruments.bases.parameters import Declared, add_parameters, whole_steps
from instruments.bases.recording import RecordingTagger
from instruments.picoquant_timeharp260.library import EDGES, MAX_DURATION_MS, NANO, PICO

DURATION_STEP = 1e-3
"""A recording lasts a whole number of these, s."""

MAX_OFFSET = 99_999e-12
"""Largest time offset of an input, s."""

RECORD_TYPES = {
    (NANO, "T2"): 0x00010205,
    (NANO, "T3"): 0x00010305,
    (PICO, "T2"): 0x00010206,
    (PICO, "T3"): 0x00010306,
}
"""``TTResultFormat_TTTRRecType`` by model and mode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discriminator:
    """How the inputs of a model tell a pulse.

    Attributes
    ----------
    is_cfd : bool
        Constant fraction, with a zero-crossing level; else level and edge.
    levels, zero_crossings : (float, float)
        V.
    max_divider : int
        Of the sync input.
    """

    is_cfd: bool
    levels: tuple[float, float]
    zero_crossings: tuple[float, float] = (0.0, 0.0)
    max_divider: int = 8


DISCRIMINATORS = {
    NANO: Discriminator(is_cfd=False, levels=(-1.2, 1.2)),
    PICO: Discriminator(is_cfd=True, levels=(-1.2, 0.0), zero_crossings=(-40e-3, 0.0)),
}
"""By model of the TimeHarp 260."""


class TimeHarpTagger(RecordingTagger):
    """Base of the ways to drive a TimeHarp 260, and its relatives.

    Attributes
    ----------
    model : str
        The vendor's name of the model.
    sync : TimeHarpInput
    inputs : tuple of TimeHarpInput
    """

    model: str
    sync: "TimeHarpInput"
    inputs: tuple["TimeHarpInput", ...]

    @property
    def discriminator(self) -> Discriminator:
        """What its inputs are."""
        return DISCRIMINATORS[self.model]

    def _add_inputs(self, n_inputs: int) -> None:
        self.sync = TimeHarpInput(self, "sync", None)
        self.inputs = tuple(
            TimeHarpInput(self, f"input{index + 1}", index) for index in range(n_inputs)
        )
        for channel in (self.sync, *self.inputs):
            self.add_submodule(channel.short_name, channel)

    def _apply_inputs(self) -> None:
        """Send the settings of all inputs again."""
        for channel in (self.sync, *self.inputs):
            channel.apply()

    def _input_tags(self) -> list[tuple[str, object]]:
        """Return the settings of all inputs as tags of the vendor's dictionary."""
        return [tag for channel in (self.sync, *self.inputs) for tag in channel.header_tags()]

    def _prepare(self, duration: float) -> int:
        """Check that a recording may start; return its duration in ms."""
        milliseconds = whole_steps(duration, DURATION_STEP, "duration", "s")
        if not 1 <= milliseconds <= MAX_DURATION_MS:
            message = (
                f"{self.name}: `duration` must be 1 ms to {MAX_DURATION_MS / 1000:g} s, "
                f"but is {duration:g} s"
            )
            raise ValueError(message)
        self.require_idle("start")
        inputs = (self.sync, *self.inputs)
        self._require_settings([name for channel in inputs for name in channel.missing()])
        return milliseconds

    @abstractmethod
    def send(self, function: str, *values: int) -> None:
        """Call a setting function, named as in TH260Lib, of the board."""


class TimeHarpInput(InstrumentChannel[TimeHarpTagger]):
    """One input's discriminator.

    The library cannot be asked for these settings: the values shown are those last sent. Level
    and edge (NANO) or zero crossing (PICO) are one call, sent once both are known.

    Parameters
    ----------
    parent : TimeHarpTagger
    name : str
    channel : int or None
        Input as in the tag file, from 0; None for the sync input.
    """

    trigger_level = Declared[float](
        "trigger level",
        "V",
        vals=lambda self: Numbers(*self.kind.levels),
        doc="Discriminator level, a multiple of 1 mV; the device has no default.",
    )
    zero_crossing = Declared[float](
        "CFD zero-crossing level",
        "V",
        only=lambda self: self.kind.is_cfd,
        vals=lambda self: Numbers(*self.kind.zero_crossings),
        doc="Zero-crossing level of the constant-fraction discriminator.",
    )
    trigger_edge = Declared[str](
        "trigger edge",
        only=lambda self: not self.kind.is_cfd,
        vals=Enum(*EDGES),
        doc="Edge that counts. Of the TimeHarp 260 NANO library version 3.2 reversed its meaning "
        "against earlier ones: check with a known pulse after an update.",
    )
    offset = Declared[float](
        "time offset",
        "s",
        initial_cache_value=0.0,
        vals=Numbers(-MAX_OFFSET, MAX_OFFSET),
        doc="Time added to what the input records, a multiple of 1 ps.",
    )
    enabled = Declared[bool](
        "enabled",
        only=lambda self: self.channel is not None,
        initial_cache_value=True,
        vals=Bool(),
        doc="Whether the input's clicks are recorded.",
    )
    divider = Declared[int](
        "sync divider",
        only=lambda self: self.channel is None,
        initial_cache_value=1,
        vals=lambda self: Ints(1, self.kind.max_divider),
        doc="Only every n-th trigger is processed; 1 below 40 MHz, and always where each trigger "
        "is a trial.",
    )

    def __init__(self, parent: TimeHarpTagger, name: str, channel: int | None) -> None:
        super().__init__(parent, name)
        self.channel = channel
        self.kind = parent.discriminator
        self._level: int | None = None
        self._second: int | None = None
        add_parameters(self)

    def missing(self) -> list[str]:
        """Return the full names of the settings that must be made before recording.

        An input that is not enabled needs none.
        """
        if self.channel is not None and not self.enabled.cache.get():
            return []
        second = "zero_crossing" if self.kind.is_cfd else "trigger_edge"
        values = {"trigger_level": self._level, second: self._second}
        return [f"{self.full_name}.{name}" for name, value in values.items() if value is None]

    def apply(self) -> None:
        """Send all settings again, as after the device was initialised."""
        self._send_trigger()
        self._set_offset(self.offset.cache.get())
        if self.channel is None:
            self._set_divider(self.divider.cache.get())
        else:
            self._set_enabled(self.enabled.cache.get())

    def header_tags(self) -> list[tuple[str, object]]:
        """Return the settings as tags of the vendor's dictionary."""
        prefix, index = (
            ("HWSync", "") if self.channel is None else ("HWInpChan", f"[{self.channel}]")
        )
        level, second = (
            ("CFDLevel", "CFDZeroCross") if self.kind.is_cfd else ("TrgLevel", "TrgEdge")
        )
        offset = whole_steps(self.offset.cache.get(), 1e-12, self.offset.full_name, "s")
        tags: list[tuple[str, object]] = [(f"{prefix}_Offset{index}", offset)]
        if self._level is not None and self._second is not None:
            tags += [
                (f"{prefix}_{level}{index}", self._level),
                (f"{prefix}_{second}{index}", self._second),
            ]
        if self.channel is None:
            tags.append(("HWSync_Divider", self.divider.cache.get()))
        else:
            tags.append((f"HWInpChan_Enabled{index}", self.enabled.cache.get()))
        return tags

    @trigger_level.setter
    def _set_level(self, level: float) -> None:
        self._level = whole_steps(level, 1e-3, self.trigger_level.full_name, "V")
        self._send_trigger()

    @zero_crossing.setter
    def _set_zero_crossing(self, level: float) -> None:
        self._second = whole_steps(level, 1e-3, self.zero_crossing.full_name, "V")
        self._send_trigger()

    @trigger_edge.setter
    def _set_edge(self, edge: str) -> None:
        self._second = EDGES[edge]
        self._send_trigger()

    def _send_trigger(self) -> None:
        if self._level is not None and self._second is not None:
            kind = "CFD" if self.kind.is_cfd else "EdgeTrg"
            self._send(f"Set{{}}{kind}", self._level, self._second)

    @offset.setter
    def _set_offset(self, offset: float) -> None:
        steps = whole_steps(offset, 1e-12, self.offset.full_name, "s")
        self._send("Set{}ChannelOffset", steps)

    @enabled.setter
    def _set_enabled(self, enabled: bool) -> None:
        self._send("Set{}ChannelEnable", int(enabled))

    @divider.setter
    def _set_divider(self, divider: int) -> None:
        self._send("Set{}Div", divider)

    def _send(self, function: str, *values: int) -> None:
        if self.channel is None:
            self.parent.send(function.format("Sync"), *values)
        else:
            self.parent.send(function.format("Input"), self.channel, *values)
