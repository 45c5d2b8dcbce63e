"""A generator with two outputs: each off until programmed, both off in the safe state."""

from abc import abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

from qcodes.instrument import InstrumentChannel

from instruments.bases.parameters import ON_OFF, switch
from instruments.bases.safe_state import SafeAtOnce
from instruments.bases.scpi import ScpiInstrument

GeneratorT = TypeVar("GeneratorT", bound="TwoChannelGenerator[Any]")
ChannelT = TypeVar("ChannelT", bound="GeneratorChannel[Any]")


class GeneratorChannel(InstrumentChannel[GeneratorT]):
    """Base of one output of a generator.

    Parameters
    ----------
    parent : TwoChannelGenerator
    number : int
        1 or 2.
    header : str
        Of the command that switches the output.
    words : (str, str)
        By which that command means off and on.
    """

    output = switch(
        "{_output_header}",
        "Output",
        set=lambda self, code: self.switch(on=code == ON_OFF[True]),
        doc="Whether the output is on; only what was programmed is let out.",
    )

    def __init__(
        self, parent: GeneratorT, number: int, *, header: str, words: tuple[str, str]
    ) -> None:
        super().__init__(parent, f"ch{number}")
        self.number = number
        self._output_header = header
        self._output_words = words

    @abstractmethod
    def forget_programming(self) -> None:
        """Take what was programmed for lost, as behind a link that was opened anew."""

    @abstractmethod
    def _require_programmed(self) -> None:
        """Raise RuntimeError if the output must not be switched on now."""

    def switch(self, *, on: bool) -> None:
        """Switch the output and check by reading back.

        Raises
        ------
        RuntimeError
            If nothing was programmed through this driver since the link was opened, or the
            instrument does not hold any more what was; or if the output did not switch.
        """
        with self.parent.lock:
            if on:
                self._require_programmed()
            self.write(f"{self._output_header} {self._output_words[on]}")
            if (self.ask(f"{self._output_header}?") == ON_OFF[True]) != on:
                message = (
                    f"{self.full_name}: the output did not switch {'on' if on else 'off'} when "
                    "told to; look at the front panel, then try again"
                )
                raise RuntimeError(message)

    def is_certainly_off(self) -> bool:
        """Ask the instrument whether the output is off; any other reply than off means no."""
        is_off = self.ask(f"{self._output_header}?") == ON_OFF[False]
        self.output.cache.set(not is_off)
        return is_off


class TwoChannelGenerator(SafeAtOnce, ScpiInstrument, Generic[ChannelT]):
    """Base of the generators; connecting changes nothing.

    Attributes
    ----------
    ch1, ch2 : GeneratorChannel
    """

    n_channels: ClassVar[int] = 2
    ch1: ChannelT
    ch2: ChannelT

    @abstractmethod
    def _off_commands(self, number: int) -> tuple[str, ...]:
        """Return what takes a channel to its safe state, whatever state it is in."""

    def channel(self, number: int) -> ChannelT:
        """Return channel 1 or 2."""
        if number not in (1, 2):
            message = f"{self.name}: `channel` must be 1 or 2, but is {number}"
            raise ValueError(message)
        return self.ch1 if number == 1 else self.ch2

    def set_output(self, channel: int, *, on: bool) -> None:
        """Switch an output; refuses to switch on what was not programmed."""
        self.channel(channel).output(on)

    def output_is_on(self, channel: int) -> bool:
        """Ask the instrument whether an output is on."""
        return bool(self.channel(channel).output())

    def _send_ahead(self) -> None:
        for number in (1, 2):
            self.send_blindly(*self._off_commands(number))

    def _make_safe(self) -> None:
        for number in (1, 2):
            for command in self._off_commands(number):
                self.write_unchecked(command)
        still_on = [
            channel.number for channel in (self.ch1, self.ch2) if not channel.is_certainly_off()
        ]
        if still_on:
            message = f"{self.name}: channels {still_on} must be off, but are on; cut their power"
            raise RuntimeError(message)

    def _link_was_opened_anew(self) -> None:
        for channel in (self.ch1, self.ch2):
            channel.forget_programming()
