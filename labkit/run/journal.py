"""The journal of a run: one durable line per finished block."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from analysis.counts import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One finished block of trials.

    Attributes
    ----------
    number : int
        From 1, without gaps.
    segment : str
        Tag file, relative to the run folder.
    setting : dict
        What this block was measured at: phase, delay, arm, …
    counts : Counts
    good : bool
        False if the block is left out of the result.
    reason : str
        Why it is left out, or was repaired.
    monitors : dict of str to float
        Rates (1/s), lock error (V), temperatures (K), …
    started, ended : str
        UTC, ISO 8601.
    duration : float
        Seconds by a clock that never jumps.
    """

    number: int
    segment: str
    counts: Counts
    setting: dict[str, float | str] = field(default_factory=dict)
    good: bool = True
    reason: str = ""
    monitors: dict[str, float] = field(default_factory=dict)
    started: str = ""
    ended: str = ""
    duration: float = 0.0


class JournalError(ValueError):
    """A journal is damaged in a way that a crash cannot explain."""


class Journal:
    """A file of lines, each a checksum and a JSON object; a line counts once it is on the disk.

    Parameters
    ----------
    path : Path
        Made if it does not exist. A last line without its end (power lost while writing) is cut
        off on opening for writing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, block: Block) -> None:
        """Add a block's line and bring it to the disk; returns when it is safe."""
        plain = asdict_block(block)
        text = json.dumps(plain, separators=(",", ":"), allow_nan=False)
        line = f"{crc32(text.encode()):08x} {text}\n"
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())

    def amend(self, block: Block) -> None:
        """Add a line that replaces an earlier one of the same block; the earlier one stays."""
        self.append(block)

    def read(self) -> list[Block]:
        """Return all finished blocks, as last amended; an unfinished last line is passed over.

        Raises
        ------
        JournalError
            If a line that is not the last is damaged, or block numbers have a gap.
        """
        latest = {block.number: block for _, block in self._lines()}
        return self.numbered(latest)

    def since(self, position: int) -> tuple[list[Block], int]:
        """Return the blocks of the lines after a byte, and the byte after the last whole line.

        An amended block comes again, with the number it had. Begin with 0, go on with what was
        returned: each call costs the new lines only.

        Raises
        ------
        JournalError
            If a line that is not the last is damaged.
        """
        blocks = []
        for end, block in self._lines(position):
            position = end
            blocks.append(block)
        return blocks, position

    def numbered(self, latest: Mapping[int, Block]) -> list[Block]:
        """Return blocks in the order of their numbers.

        Raises
        ------
        JournalError
            If the numbers have a gap.
        """
        numbers = list(latest)
        if numbers != list(range(1, len(numbers) + 1)):
            message = f"{self.path}: blocks must be numbered 1, 2, …, but are {numbers[:20]}"
            raise JournalError(message)
        return list(latest.values())

    def cut_unfinished(self) -> int:
        """Cut off an unfinished last line; return how many bytes were cut."""
        if not self.path.exists():
            return 0
        whole = max((end for end, _ in self._lines()), default=0)
        excess = self.path.stat().st_size - whole
        if excess:
            with self.path.open("r+b") as stream:
                stream.truncate(whole)
                os.fsync(stream.fileno())
        return excess

    def _lines(self, position: int = 0) -> Iterator[tuple[int, Block]]:
        """Yield (byte after the line, block) of the lines after a byte."""
        if not self.path.exists():
            return
        with self.path.open("rb") as stream:
            stream.seek(position)
            lines = stream.read().splitlines(keepends=True)
        after = f" after byte {position}" if position else ""
        for number, line in enumerate(lines, 1):
            position += len(line)
            block = _parse(line)
            if block is None:
                if number == len(lines):
                    return
                message = (
                    f"{self.path}: line {number}{after} must be a finished block, but its checksum "
                    "does not match; restore the file, or delete the line and recount its segment"
                )
                raise JournalError(message)
            yield position, block


def asdict_block(block: Block) -> dict[str, object]:
    """Return a block as plain types."""
    names = [name for name in Block.__dataclass_fields__ if name != "counts"]
    return {name: getattr(block, name) for name in names} | {"counts": block.counts.to_dict()}


def _parse(line: bytes) -> Block | None:
    """Return the block of a line, or None if the line is not whole."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != f"{crc32(text):08x}".encode():
        return None
    plain = json.loads(text)
    return Block(**{**plain, "counts": Counts.from_dict(plain["counts"])})


def total_counts(blocks: list[Block], setting: Mapping[str, object] | None = None) -> Counts | None:
    """Add up the good blocks (of one setting); None if there are none."""
    good = [
        block.counts
        for block in blocks
        if block.good and (setting is None or block.setting == setting)
    ]
    if not good:
        return None
    return sum(good[1:], good[0])


def main_setting(blocks: Sequence[Block]) -> dict[str, float | str]:
    """Return the setting a run is about: of its last witness block, otherwise of its last block.

    Between witness blocks the filters are tuned, with blocks of their own.
    """
    of_witness = (b.setting for b in reversed(blocks) if b.setting.get("procedure") == "witness")
    return next(of_witness, blocks[-1].setting if blocks else {})
