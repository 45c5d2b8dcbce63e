"""Sums of a long run's blocks after more and more of them, kept beside it for who looks."""

import contextlib
import json
from collections.abc import Collection, Iterable, Sequence
from hashlib import sha256
from operator import is_
from pathlib import Path
from typing import Any

import labkit
from analysis.counts import Counts
from labkit.run.folder import RunFolder
from labkit.run.journal import TURN, Block, folded_sum
from labkit.run.lines import framed, read_lines
from labkit.run.packing import Bins, Packed

KEPT = "sums.jsonl"
"""In a run folder; can be made anew at any time, and goes for nothing if the blocks are others."""

MOST_POINTS = 16
"""A course has so many points at most: the witness's posterior costs 30 ms at each."""

LONG = 512
"""Of fewer blocks no sums are kept."""


def lengths_of_course(blocks: int) -> list[int]:
    """Return after how many blocks to evaluate: multiples of a power of two, and all."""
    stride = 1
    while blocks / stride > MOST_POINTS:
        stride *= 2
    lengths = list(range(stride, blocks + 1, stride))
    return lengths if blocks % stride == 0 else [*lengths, blocks]


class Sums:
    """Sums of the first so many of a run's good blocks, where a course wants them.

    Every block is added once; those that a kept sum is of are not even unpacked.

    Parameters
    ----------
    folder : Path, optional
        Run folder in which sums may be kept.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._sums: dict[int, Counts] = {}
        self._blocks: list[Block] = []

    def after(self, good: Sequence[Block], lengths: Sequence[int]) -> tuple[dict[int, Counts], int]:
        """Return the sums after so many blocks, and how many first blocks are as they were."""
        same = _common(self._blocks, good)
        before = {n: total for n, total in self._sums.items() if n <= same}
        if not before and self._folder is not None and len(good) >= LONG:
            before = kept_sums(self._folder, good, lengths)
        self._blocks, self._sums = list(good), {}
        total: Counts | None = None
        done = 0
        for length in lengths:
            if length not in before:
                if nearer := [n for n in before if done < n <= length]:
                    done, total = max(nearer), before[max(nearer)]
                parts = [c for c in (total, folded_sum(good[done:length])) if c is not None]
                before[length] = sum(parts[1:], parts[0])
            total, done = before[length], length
            self._sums[length] = total
        return self._sums, same


def keep_sums(folder: RunFolder) -> None:
    """Keep the sums of the run's good blocks in its folder, if one may write there.

    To be called by the run itself, now and then: who only looks writes nothing. A journal that
    cannot be read ends no measurement here; whoever wants a result of it is told.
    """
    with contextlib.suppress(OSError, ValueError):
        good = folder.main_blocks()
        if len(good) >= LONG and all(block.gates == good[-1].gates for block in good):
            _keep(folder.path, good)


def _keep(folder: Path, good: Sequence[Block]) -> None:
    lengths = lengths_of_course(len(good))
    sums, _ = Sums(folder).after(good, lengths)
    digests = _digests(good, lengths)
    lines = [
        framed({
            "labkit": labkit.__version__, "blocks": n, "of": digests[n],
            "counts": sums[n].to_dict(),
        })
        for n in digests
    ]  # fmt: skip
    part = folder / f".{KEPT}.part"
    part.write_text("".join(lines), encoding="utf-8")
    part.replace(folder / KEPT)


def kept_sums(folder: Path, good: Sequence[Block], lengths: Collection[int]) -> dict[int, Counts]:
    """Return the kept sums of the first of these blocks, by their number.

    They must have been made by this labkit, of the very counts that the blocks have now.
    """
    there: dict[int, dict[str, Any]] = {}
    for line in read_lines(folder / KEPT):
        number, plain = line.plain.get("blocks"), line.plain
        if isinstance(number, int) and number in lengths:
            there[number] = plain if plain.get("labkit") == labkit.__version__ else {}
    digests = _digests(good, there)
    found: dict[int, Counts] = {}
    for number, digest in digests.items():
        if there[number].get("of") == digest:
            with contextlib.suppress(KeyError, TypeError, ValueError):
                found[number] = Counts.from_dict(there[number]["counts"])
    return found


def _digests(good: Sequence[Block], numbers: Iterable[int]) -> dict[int, str]:
    """Return the SHA-256 of all that a sum is made of, by the number of first blocks.

    Empty if the blocks do not come from a journal that has them packed.
    """
    wanted = set(numbers)
    state, bins, found = sha256(), None, {}
    for number, block in enumerate(good[: max(wanted, default=0)], 1):
        held = block.held
        if not isinstance(held, Packed):
            return {}
        if held.bins is not bins:
            bins = held.bins
            state.update(_of_bins(bins))
        said = (held.text, held.source, str(block.setting.get(TURN, "")), *held.warnings)
        state.update("\0".join(said).encode())
        if number in wanted:
            found[number] = state.hexdigest()
    return found


def _of_bins(bins: Bins) -> bytes:
    return json.dumps(bins.to_dict(), sort_keys=True).encode()


def _common(before: Sequence[Block], now: Sequence[Block]) -> int:
    """Return how many of the first blocks are the same objects."""
    if len(before) <= len(now) and all(map(is_, before, now)):
        return len(before)
    return next((n for n, (a, b) in enumerate(zip(before, now, strict=False)) if a is not b),
                min(len(before), len(now)))  # fmt: skip
