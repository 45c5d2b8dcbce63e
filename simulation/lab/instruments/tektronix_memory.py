"""Waveform memory of a simulated AFG3152C: two edit memories and four user waveforms."""

import numpy as np
from numpy.typing import NDArray

from simulation.lab.servers.scpi_values import ScpiError

Codes = NDArray[np.uint16]

CODE_BITS = np.uint16(0x3FFF)
MIDDLE_CODE = 8191
MAX_POINTS = 131_072
USER = tuple(f"USER{number}" for number in (1, 2, 3, 4))
EDIT = {"EMEM": "EMEM", "EMEM1": "EMEM", "EMEMORY": "EMEM", "EMEM2": "EMEM2", "EMEMORY2": "EMEM2"}
"""Edit memories by the words for them."""


class UserWaveforms:
    """Waveforms by name, as 14-bit codes; a locked user waveform does not change."""

    def __init__(self) -> None:
        self.locked: set[str] = set()
        self._codes: dict[str, Codes] = {
            name: np.zeros(1000, np.uint16) for name in ("EMEM", "EMEM2")
        }

    def names(self) -> list[str]:
        """Return what is stored, sorted."""
        return sorted(self._codes)

    def define(self, word: str, points: int) -> None:
        """Make an edit memory a line at the middle."""
        self._codes[_edit_memory(word)] = np.full(points, MIDDLE_CODE, np.uint16)

    def store(self, word: str, data: bytes | None) -> None:
        """Fill an edit memory with big-endian words; ``None`` stands for what is no block."""
        memory = _edit_memory(word)
        if data is None or len(data) % 2 or not 4 <= len(data) <= 2 * MAX_POINTS:
            raise ScpiError(-161)
        self._codes[memory] = np.frombuffer(data, ">u2").astype(np.uint16) & CODE_BITS

    def read(self, word: str) -> Codes:
        """Return the codes of a waveform."""
        stored = self._codes.get(EDIT.get(word, word))
        if stored is None:
            raise ScpiError(-224)
        return stored

    def copy(self, target: str, source: str) -> None:
        """Copy a waveform to a user waveform."""
        if target not in USER or target in self.locked:
            raise ScpiError(-224)
        self._codes[target] = self.read(source)

    def delete(self, name: str) -> None:
        """Delete a user waveform, if there is one."""
        if name in self.locked or name not in USER:
            raise ScpiError(-224)
        self._codes.pop(name, None)

    def played(self, shape: str) -> Codes | None:
        """Return the codes that a shape plays; ``None`` for shapes that are not in memory.

        An empty user waveform plays a line at the middle.
        """
        codes = self._codes.get(EDIT.get(shape, shape))
        if codes is None and shape in USER:
            return np.full(2, MIDDLE_CODE, np.uint16)
        return codes


def _edit_memory(word: str) -> str:
    if word not in EDIT:
        raise ScpiError(-224)
    return EDIT[word]
