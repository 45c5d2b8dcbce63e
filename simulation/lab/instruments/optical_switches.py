"""Simulated fibre switches on a serial line: Agiltron FF and SelfAlign, Sercalo 1×N."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from simulation.lab.instrument_faults import InstrumentFaults
from simulation.lab.ports.steady import SwitchPort

BAD_COMMAND, BAD_PARAMETER, WRONG_SUM = 1, 2, 4
SHORTEST = 3
"""What a Sercalo's length counts at least: FF, command and sum."""


class SimulatedSwitch(ABC):
    """Base of the switches: takes whole frames from a stream of bytes.

    Parameters
    ----------
    port : SwitchPort, optional
    channels : int

    Attributes
    ----------
    faults : InstrumentFaults
        ``stick`` with setting ``channel``: the mirror does not move.
    """

    def __init__(self, port: SwitchPort | None = None, channels: int = 4) -> None:
        self.port = port or SwitchPort()
        self.channels = channels
        self.faults = InstrumentFaults(lambda setting: setting == "channel")

    @abstractmethod
    def take_frame(self, data: bytes) -> tuple[bytes | None, int]:
        """Return the reply to the frame at the start of `data`, and its length; 0: not whole."""

    def conversation(self) -> "_FrameConversation":
        """Begin to talk on a new connection."""
        return _FrameConversation(self)

    def move(self, channel: int) -> bool:
        """Lead the light to a channel; tell whether there is such a channel."""
        if not 1 <= channel <= self.channels:
            return False
        if self.faults.take("stick") is None:
            self.port.position = channel
        return True


class SimulatedAgiltronFF(SimulatedSwitch):
    """Frames of four bytes; a set that it does not know is not echoed."""

    def take_frame(self, data: bytes) -> tuple[bytes | None, int]:
        """Answer a frame of four bytes."""
        if len(data) < 4:
            return None, 0
        frame = data[:4]
        if frame[:3] == b"\x01\x12\x00" and self.move(frame[3]):
            return frame, 4
        if frame == b"\x01\x11\x00\x00":
            return bytes([0x01, 0x11, 0x00, self.port.position]), 4
        return None, 4


class SimulatedSelfAlign(SimulatedSwitch):
    """Frames of four bytes; 01 35 00 n moves, 01 30 00 00 goes home."""

    def take_frame(self, data: bytes) -> tuple[bytes | None, int]:
        """Answer a frame of four bytes."""
        if len(data) < 4:
            return None, 0
        moved = data[:3] == b"\x01\x35\x00" and self.move(data[3])
        return (b"\x01\x35\xff\xff" if moved else None), 4


class SimulatedSercalo(SimulatedSwitch):
    """EF EF, length, FF, command, data, sum; answered by FE FE, length, address and so on."""

    def take_frame(self, data: bytes) -> tuple[bytes | None, int]:
        """Answer a frame of the length that its third byte tells."""
        if data[:2] != b"\xef\xef"[: len(data)]:
            return None, 1  # no start of a frame: looked for at the next byte
        if len(data) < 3 or len(data) < 3 + data[2]:
            return None, 0
        frame = data[: 3 + data[2]]
        if data[2] < SHORTEST:
            return None, len(frame)
        command, arguments = frame[4], frame[5:-1]
        error, answer = 0, b""
        if sum(frame[:-1]) & 0xFF != frame[-1]:
            error = WRONG_SUM
        elif command == 0x02:
            answer = bytes([self.port.position])
        elif command != 0x04:
            error = BAD_COMMAND
        elif len(arguments) != 1 or not self.move(arguments[0]):
            error = BAD_PARAMETER
        body = bytes([0xFE, 0xFE, 4 + len(answer), 0x01, command, error]) + answer
        return body + bytes([sum(body) & 0xFF]), len(frame)


class _FrameConversation:
    """One client's stream of frames."""

    def __init__(self, switch: SimulatedSwitch) -> None:
        self._switch = switch
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._rest += data
        while self._rest:
            reply, length = self._switch.take_frame(self._rest)
            if not length:
                return
            self._rest = self._rest[length:]
            if reply is not None:
                yield reply

    def hang_up(self) -> None:
        self._rest = b""
