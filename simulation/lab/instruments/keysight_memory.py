"""Waveform and sequence memory of one channel of a simulated 81180A."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simulation.lab.servers.scpi_values import ScpiError

GROUP = 32
CODE_BITS = np.uint16(0x0FFF)
MARKER_BITS = np.uint16(0x3000)
ALWAYS_ZERO = np.uint16(0x8000)
MIN_POINTS = {"A": 320, "B": 384}
MAX_STEPS = {"A": 32_768, "B": 49_152}
MAX_LOOPS = {"A": 1_048_575, "B": 16_777_216}
MIN_STEPS = 3


class SegmentMemory:
    """Segments by number, and sequences of (segment, loops) by number.

    Parameters
    ----------
    model : {"A", "B"}
    points : int
        Size.
    """

    def __init__(self, *, model: Literal["A", "B"], points: int) -> None:
        self.model = model
        self.points = points
        self.clear()

    def clear(self) -> None:
        """Forget everything, as after power-on."""
        self.selected = 1
        self.lengths: dict[int, int] = {}
        self.words: dict[int, NDArray[np.uint16]] = {}
        self._units: dict[int, NDArray[np.float64]] = {}
        self.sequences: dict[int, dict[int, tuple[int, int]]] = {}

    def define(self, number: int, points: int) -> None:
        """Reserve a segment; a former one of that number is lost."""
        if points < MIN_POINTS[self.model] or points % GROUP:
            raise ScpiError(-222)
        others = sum(length for segment, length in self.lengths.items() if segment != number)
        if others + points > self.points:
            raise ScpiError(-225)
        self.delete(number)
        self.lengths[number] = points

    def select(self, number: int) -> None:
        """Make a segment the one that data go to and that plays in USER mode."""
        if number not in self.lengths:
            raise ScpiError(-224)
        self.selected = number

    def selected_points(self) -> int:
        """Return the length of the selected segment."""
        return self.lengths.get(self.selected, 0)

    def store(self, data: bytes) -> None:
        """Fill the selected segment with little-endian words."""
        words = np.frombuffer(data, "<u2") if len(data) % 2 == 0 else np.empty(0, "<u2")
        if len(words) != self.selected_points() or not len(words) or np.any(words & ALWAYS_ZERO):
            raise ScpiError(-161)
        self.words[self.selected] = words.astype(np.uint16)
        self._units.pop(self.selected, None)

    def unit(self, number: int) -> NDArray[np.float64] | None:
        """Return a segment between −1 and 1; ``None`` without data."""
        if number not in self._units and number in self.words:
            codes = (self.words[number] & CODE_BITS).astype(np.float64)
            self._units[number] = (codes - 2048) / 2047
        return self._units.get(number)

    def marker(self, number: int, output: Literal[1, 2]) -> NDArray[np.bool_]:
        """Return a marker output by sample: bits of the last 8 words stand for 32 samples."""
        bits = self.words[number].reshape(-1, GROUP)[:, -GROUP // 4 :] >> np.uint16(11 + output) & 1
        return np.repeat(bits.astype(bool).ravel(), 4)

    def delete(self, number: int) -> None:
        """Delete a segment, if there is one."""
        self.lengths.pop(number, None)
        self.words.pop(number, None)
        self._units.pop(number, None)

    def delete_all(self) -> None:
        """Delete every segment."""
        self.lengths.clear()
        self.words.clear()
        self._units.clear()

    def define_step(self, sequence: int, step: int, segment: int, loops: int) -> None:
        """Set a step of a sequence."""
        inside = 1 <= step <= MAX_STEPS[self.model] and 1 <= loops <= MAX_LOOPS[self.model]
        if not inside:
            raise ScpiError(-222)
        if segment not in self.lengths:
            raise ScpiError(-224)
        self.sequences.setdefault(sequence, {})[step] = (segment, loops)

    def delete_sequence(self, sequence: int) -> None:
        """Delete a sequence, if there is one."""
        self.sequences.pop(sequence, None)

    def length(self, sequence: int) -> int:
        """Return the number of steps of a sequence."""
        return len(self.sequences.get(sequence, {}))

    def steps(self, sequence: int) -> tuple[tuple[int, int], ...]:
        """Return the steps of a sequence in order."""
        return tuple(step for _, step in sorted(self.sequences.get(sequence, {}).items()))

    def can_play(self, sequence: int) -> bool:
        """Tell whether a sequence has at least 3 steps without a gap, of segments with data."""
        steps = self.sequences.get(sequence, {})
        return (
            len(steps) >= MIN_STEPS
            and max(steps) == len(steps)
            and all(segment in self.words for segment, _ in steps.values())
        )
