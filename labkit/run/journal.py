"""The journal of a run: what every block counted, and whether it was verified."""

import gc
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.counts import Counts
from analysis.counts_file import WitnessCounts, witness_counts
from analysis.gates import GateSet
from labkit.run.lines import (
    FramedLine,
    append_lines,
    corrected,
    framed,
    is_there,
    last_line,
    lines_of,
    read_lines,
    write_whole_bytes,
)
from labkit.run.packing import Bins, Packed, added, singles_of
from labkit.run.parts import Part

MOST_FLIPS = 20
"""With more damaged lines than this, none is looked at for the bit that has changed."""

UNVERIFIED = "not verified"
"""Reason of a block for whose checks the process did not live long enough."""

TURN = "turn"
"""Name in the setting of a witness block that is one of two, at θ or at θ + π."""

THETA, PI = "theta", "pi"
"""Its values."""


class _Held:
    """Counts of a block: given as they are, or unpacked whenever they are asked for.

    A run of thirty thousand blocks holds them packed.
    """

    def __get__(self, block: "Block | None", owner: type) -> Any:
        if block is None:
            raise AttributeError  # a field without default
        held = block.__dict__["held"]
        return held.counts() if isinstance(held, Packed) else held

    def __set__(self, block: "Block", value: "Counts | Packed") -> None:
        block.__dict__["held"] = value


@dataclass(frozen=True, kw_only=True)
class Block:
    """One finished block of trials.

    Attributes
    ----------
    number : int
        From 1, without gaps.
    segment : str
        Tag file, relative to the run folder.
    counts : Counts
    setting : dict
        What this block was measured at: phase, delay, arm, …
    good : bool
        Whether it was verified: every check passed. A block that is not good is left out of the
        result.
    reason : str
        Why it is left out, or was repaired.
    monitors : dict of str to float
        Rates (1/s), lock error (V), temperatures (K), …
    started, ended : str
        UTC, ISO 8601.
    duration : float
        Seconds by a clock that never jumps.
    hashes : dict of str to str
        SHA-256 of the segment and of the block's record, by path relative to the run folder;
        empty in run folders of format 1.
    size : int
        Bytes of the segment; -1 if not known.
    shifted : list of list of int, or None
        Pairs of a pump click with read clicks of later trials, element [read detector, pump
        detector], see `analysis.counting.shifted`; None where that was not counted.
    parts : list of Part, or None
        Of a scan: what came at each of its settings. `counts` are those of the whole recording.
    """

    number: int
    segment: str
    counts: Counts = _Held()  # type: ignore[assignment]  # a descriptor gives them
    setting: dict[str, float | str] = field(default_factory=dict)
    good: bool = True
    reason: str = ""
    monitors: dict[str, float] = field(default_factory=dict)
    started: str = ""
    ended: str = ""
    duration: float = 0.0
    hashes: dict[str, str] = field(default_factory=dict)
    size: int = -1
    shifted: list[list[int]] | None = None
    parts: list[Part] | None = None

    @property
    def trials(self) -> int:
        """Number of trials, without unpacking the counts."""
        held: Counts | Packed = self.__dict__["held"]
        return held.number if isinstance(held, Packed) else held.trials.number

    @property
    def gates(self) -> GateSet:
        """Gates, without unpacking the counts."""
        held: Counts | Packed = self.__dict__["held"]
        return held.bins.gates if isinstance(held, Packed) else held.gates

    @property
    def singles(self) -> NDArray[np.int64]:
        """Clicks by gate and detector, shape (gates, detectors), without all other counts."""
        held: Counts | Packed = self.__dict__["held"]
        return held.singles() if isinstance(held, Packed) else held.singles

    @property
    def witness(self) -> WitnessCounts:
        """The counts that the witness needs, without all others; see `witness_counts`."""
        held: Counts | Packed = self.__dict__["held"]
        return held.witness() if isinstance(held, Packed) else witness_counts(held)

    @property
    def held(self) -> Counts | Packed:
        """The counts as they are held: packed if they come from a journal."""
        held: Counts | Packed = self.__dict__["held"]
        return held


class JournalError(ValueError):
    """A journal is damaged in a way that a crash cannot explain."""


class Journal:
    """A file of lines, each a checksum and a JSON object; a line counts once it is on the disk.

    Three kinds of lines, told by their ``kind``:

    ``bins``
        Gates and time bins that the blocks after it share.
    ``block``
        What a block counted. It does not count yet.
    ``verdict``
        Whether a block passed all checks; the last one about a block holds.

    A line without ``kind`` is of a run folder of format 1: a block with its verdict.

    Parameters
    ----------
    path : Path
        Made if it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._bins: dict[int, Bins] = {}
        self._searched = 0

    def append(self, block: Block) -> None:
        """Add a block's line, whatever `block.good` says: it does not count before `judge`."""
        bins, number, new = self._bins_of(block.counts)
        lines = framed({"kind": "bins", "bins": number, **bins.to_dict()}) if new else ""
        packed = Packed.of(block.counts, bins)
        lines += framed({"kind": "block", **_plain(block), **_packed_plain(packed, number)})
        append_lines(self.path, lines, durable=False)

    def judge(self, number: int, *others: int, good: bool, reason: str = "") -> None:
        """Add the verdict on blocks and bring all lines so far to the disk: one atomic step."""
        verdict = {"kind": "verdict", "number": number, "good": good, "reason": reason}
        append_lines(
            self.path, framed(verdict | ({"also": others} if others else {})), durable=True
        )

    def read(self) -> list[Block]:
        """Return all finished blocks with their last verdict; a torn last line is passed over.

        Raises
        ------
        JournalError
            If a line is damaged, or block numbers have a gap.
        """
        latest: dict[int, Block] = {}
        _Reader(self.path).read(read_lines(self.path), latest)
        return self.numbered(latest)

    def numbered(self, latest: Mapping[int, Block]) -> list[Block]:
        """Return blocks in the order of their numbers.

        Raises
        ------
        JournalError
            If the numbers have a gap.
        """
        numbers = sorted(latest)
        if numbers != list(range(1, len(numbers) + 1)):
            message = f"{self.path}: blocks must be numbered 1, 2, …, but are {numbers[:20]}"
            raise JournalError(message)
        return [latest[number] for number in numbers]

    def cut_unfinished(self) -> int:
        """Cut off a torn last line; return how many bytes were cut."""
        last = last_line(self.path)
        if last is None or last.state != "torn":
            return 0
        with self.path.open("r+b") as stream:
            stream.truncate(last.start)
            stream.flush()
            os.fsync(stream.fileno())
        return last.end - last.start

    def mend(self, kept: Path) -> "Mended":
        """Put right lines in which one bit has changed; take out others, and what hangs on them.

        The journal as it was is kept under another name.
        """
        content = self.path.read_bytes() if is_there(self.path) else b""
        right, number = _put_right(content, list(read_lines(self.path)))
        lines = list(lines_of(right))
        sound = list(_sound(lines))
        mended = Mended(put_right=number, taken_out=len(lines) - len(sound))
        if any(mended):
            kept.write_bytes(content)
            write_whole_bytes(self.path, b"".join(right[x.start : x.end] for x in sound))
        return mended

    def last_line_damaged(self) -> bool:
        """Tell whether the last line is damaged: it has its end, or lacks it by one bit only."""
        last = last_line(self.path)
        if last is None or last.state == "whole":
            return False
        return last.state == "damaged" or corrected(self._bytes_of(last)) is not None

    def _bytes_of(self, line: FramedLine) -> bytes:
        with self.path.open("rb") as stream:
            stream.seek(line.start)
            return stream.read(line.end - line.start)

    def _bins_of(self, counts: Counts) -> tuple[Bins, int, bool]:
        """Return bins that fit counts, their number, and whether the journal lacks them yet."""
        size = self.path.stat().st_size if self.path.exists() else 0
        if size < self._searched:
            self._bins, self._searched = {}, 0
        for plain in _bins_lines(self.path, self._searched):
            self._bins[int(plain["bins"])] = Bins.from_dict(plain, str(self.path))
        self._searched = size
        for number, bins in self._bins.items():
            if bins.fit(counts):
                return bins, number, False
        return Bins.of(counts), len(self._bins), True


class Tail:
    """A journal read as it grows: every look costs the new lines only.

    Parameters
    ----------
    journal : Journal

    Attributes
    ----------
    blocks : dict of int to Block
        By number.
    position : int
        Byte after the last whole line.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal, self.position = journal, 0
        self.blocks: dict[int, Block] = {}
        self._reader = _Reader(journal.path)

    def poll(self) -> set[int]:
        """Read what is new; return the numbers of the blocks that came or got a verdict.

        A file shorter than before, as one put back from a copy, is read from its beginning.

        Raises
        ------
        JournalError
            If a line is damaged.
        """
        path = self.journal.path
        size = path.stat().st_size if path.exists() else 0
        if size < self.position:
            self.position, self._reader = 0, _Reader(path)
            self.blocks.clear()
        if size == self.position:
            return set()
        changed, self.position = self._reader.read(
            read_lines(path, self.position), self.blocks, self.position
        )
        return changed


class _Reader:
    """Turns lines into blocks; knows the bins that it has come across."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._bins: dict[int, Bins] = {}

    def read(
        self, lines: Iterable[FramedLine], blocks: dict[int, Block], position: int = 0
    ) -> tuple[set[int], int]:
        """Add blocks and verdicts; return the numbers concerned, and the byte after the last."""
        with collector_paused():
            return self._read(lines, blocks, position)

    def _read(
        self, lines: Iterable[FramedLine], blocks: dict[int, Block], position: int
    ) -> tuple[set[int], int]:
        after = f" after byte {position}" if position else ""
        changed: set[int] = set()
        for number, _, end, state, plain in lines:
            if state == "torn":
                break
            if state == "damaged":
                message = (
                    f"{self._path}: line {number}{after} must be whole, but its checksum does not "
                    "match; restore the file, or let `labkit runs repair` recount the block from "
                    "its segment"
                )
                raise JournalError(message)
            try:
                self._take(plain, blocks, changed)
            except (KeyError, TypeError, ValueError) as error:
                message = (
                    f"{self._path}: line {number}{after} is no line of a journal: "
                    f"{type(error).__name__}: {error}"
                )
                raise JournalError(message) from None
            position = end
        return changed, position

    def _take(self, plain: dict[str, Any], blocks: dict[int, Block], changed: set[int]) -> None:
        """Take in a line's object; blocks that are `changed` have not been seen by anybody yet."""
        kind = plain.pop("kind", "")
        if kind == "bins":
            self._bins[int(plain["bins"])] = Bins.from_dict(plain, str(self._path))
            return
        if kind == "verdict":
            numbers = (plain["number"], *plain.get("also", ()))
            if absent := [number for number in numbers if number not in blocks]:
                message = f"a verdict about block {min(absent)}, which has no line"
                raise ValueError(message)
            good, reason = plain["good"], str(plain["reason"])
            if not isinstance(good, bool):
                message = f"`good` must be true or false, but is {good!r}"
                raise TypeError(message)
            for number in numbers:
                if number in changed:
                    blocks[number].__dict__.update(good=good, reason=reason)
                else:
                    blocks[number] = judged(blocks[number], good=good, reason=reason)
                    changed.add(number)
            return
        if kind == "block":
            block = self._block(plain)
        elif kind == "":
            block = Block(**{**plain, "counts": Counts.from_dict(plain["counts"])})
        else:
            message = f"`kind` must be bins, block or verdict, but is {kind!r}"
            raise ValueError(message)
        _check_segment(block.segment)
        blocks[block.number] = block
        changed.add(block.number)

    def _block(self, plain: dict[str, Any]) -> Block:
        packed = Packed(
            bins=self._bins[plain.pop("bins")], text=plain.pop("counts"),
            number=plain.pop("trials"), source=plain.pop("source"),
            warnings=tuple(plain.pop("warnings", ())),
        )  # fmt: skip
        if "parts" in plain:
            plain["parts"] = [Part.from_plain(part, packed.bins.gates) for part in plain["parts"]]
        if plain.keys() - _SELDOM != _IN_JOURNAL:  # says what is missing or not known
            return Block(**plain, counts=packed, good=False, reason=UNVERIFIED)  # type: ignore[arg-type]
        found = object.__new__(Block)
        found.__dict__.update(plain, held=packed, good=False, reason=UNVERIFIED)
        return found


VERY_MANY = 100_000
"""Objects, of some thousand blocks."""


@contextmanager
def collector_paused(*, set_aside: bool = False) -> Iterator[None]:
    """Make many objects, none of them garbage: to look for some among them takes half the time.

    Very many are then counted among the old ones at once, which are looked through seldom.

    Parameters
    ----------
    set_aside : bool
        Whether very many are not looked through at all until somebody calls `gc.unfreeze`.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if gc.get_count()[0] > VERY_MANY and not gc.get_freeze_count():
            gc.freeze()
            if not set_aside:
                gc.unfreeze()
        gc.enable()


def judged(block: Block, *, good: bool, reason: str) -> Block:
    """Return a block with a verdict; its counts stay packed."""
    found = object.__new__(Block)  # nothing to check anew: a long journal has many verdicts
    found.__dict__.update(block.__dict__, good=good, reason=reason)
    return found


def _check_segment(segment: str) -> None:
    """Refuse a segment that lies outside the run folder."""
    parts = segment.split("/")
    if not segment or not parts[0] or ".." in parts or "\\" in segment or ":" in segment:
        message = f"a segment must lie in the run folder, but is {segment!r}"
        raise ValueError(message)


_SELDOM = frozenset({"shifted", "parts"})
"""What only some blocks have."""

_NAMES = tuple(name for name in Block.__dataclass_fields__ if name != "counts")
_IN_JOURNAL = {name for name in _NAMES if name not in {"good", "reason", *_SELDOM}}


def _plain(block: Block) -> dict[str, object]:
    plain = {name: getattr(block, name) for name in _NAMES if name not in ("good", "reason")}
    for name in _SELDOM:
        if plain[name] is None:
            del plain[name]
    return plain


def _packed_plain(packed: Packed, bins: int) -> dict[str, object]:
    plain: dict[str, object] = {
        "bins": bins, "counts": packed.text, "trials": packed.number, "source": packed.source,
    }  # fmt: skip
    return plain | ({"warnings": list(packed.warnings)} if packed.warnings else {})


def _bins_lines(path: Path, position: int) -> Iterator[dict[str, Any]]:
    """Yield the ``bins`` lines after a byte; the others are not parsed."""
    if not path.exists():
        return
    with path.open("rb") as stream:
        stream.seek(position)
        for raw in stream:
            if raw[9:24] == b'{"kind":"bins",' and raw.endswith(b"\n"):
                yield json.loads(raw[9:])


class Mended(NamedTuple):
    """How many damaged lines of a journal were put right, and how many lines taken out."""

    put_right: int
    taken_out: int


def _put_right(content: bytes, lines: list[FramedLine]) -> tuple[bytes, int]:
    """Put right damaged lines, unless there are too many for chance flips of a bit."""
    parts: list[bytes] = []
    number = 0
    few = sum(line.state == "damaged" for line in lines) <= MOST_FLIPS
    rest = iter(zip(lines, [*lines[1:], None], strict=False))  # of no line there is none after
    for line, after in rest:
        raw = content[line.start : line.end]
        right = corrected(raw) if few and line.state != "whole" else None
        if right is None and few and line.state == "damaged" and after is not None:
            right = corrected(content[line.start : after.end])  # a byte has become an end of line
            if right is not None:
                next(rest)
        number += right is not None
        parts.append(raw if right is None else right)
    return b"".join(parts), number


def _sound(lines: Iterable[FramedLine]) -> Iterator[FramedLine]:
    """Yield the whole lines, without blocks of lost bins and verdicts about lost blocks."""
    bins: set[object] = set()
    blocks: set[object] = set()
    for line in lines:
        plain = line.plain
        kind = plain.get("kind")
        sound = line.state == "whole"
        if kind == "bins":
            bins.add(plain.get("bins"))
        elif kind == "verdict":
            sound = sound and {plain.get("number"), *plain.get("also", ())} <= blocks
        elif kind == "block":
            sound = sound and plain.get("bins") in bins
        if sound and kind != "verdict":
            blocks.add(plain.get("number"))
        if sound:
            yield line


def total_counts(
    blocks: Iterable[Block], setting: Mapping[str, object] | None = None
) -> Counts | None:
    """Add up the good blocks (of one purpose); None if there are none.

    At θ + π the read detectors exchange their roles, see `folded_sum`.

    Raises
    ------
    ValueError
        If their gates or time bins differ.
    """
    wanted = None if setting is None else purpose_of(setting)
    good = [b for b in blocks if b.good and (wanted is None or purpose_of(b.setting) == wanted)]
    return folded_sum(good)


def folded_sum(blocks: Sequence[Block]) -> Counts | None:
    """Add up the counts of blocks, good or not; None if there are none.

    Those at θ + π are added with the read detectors in exchanged roles.
    """
    straight = sum_of([b.held for b in blocks if b.setting.get(TURN) != PI])
    turned = sum_of([b.held for b in blocks if b.setting.get(TURN) == PI])
    if turned is None:
        return straight
    turned = turned.exchanged("read")
    return turned if straight is None else straight + turned


def sum_of(held: Sequence[Counts | Packed]) -> Counts | None:
    """Add up counts, packed ones among them; None if there are none."""
    by_bins: dict[int, list[Packed]] = {}
    totals: list[Counts] = []
    for one in held:
        if isinstance(one, Packed):
            by_bins.setdefault(id(one.bins), []).append(one)
        else:
            totals.append(one)
    totals += [total for group in by_bins.values() if (total := added(group)) is not None]
    return sum(totals[1:], totals[0]) if totals else None


def clicks_of(blocks: Sequence[Block]) -> NDArray[np.int64]:
    """Return the clicks of blocks with the same gates, shape (blocks, gates, detectors)."""
    packed = [block.held for block in blocks if isinstance(block.held, Packed)]
    if len(packed) == len(blocks) and len({id(one.bins) for one in packed}) == 1:
        return singles_of(packed)
    return np.array([block.singles for block in blocks])


def purpose_of(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Return what blocks at θ and at θ + π have in common: the setting without its turn."""
    if TURN not in setting:
        return dict(setting)
    return {name: value for name, value in setting.items() if name not in (TURN, "delta_phi")}


def main_setting(blocks: Sequence[Block]) -> dict[str, float | str]:
    """Return the setting a run is about: of its last witness block, otherwise of its last block.

    Between witness blocks the filters are tuned, with blocks of their own. The turn (θ or θ + π)
    is left out, see `purpose_of`.
    """
    of_witness = (b.setting for b in reversed(blocks) if b.setting.get("procedure") == "witness")
    return purpose_of(next(of_witness, blocks[-1].setting if blocks else {}))
