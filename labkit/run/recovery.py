"""Bring a run that ended anyhow, even by kill -9, into a state from which it can go on."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from analysis.counting import count
from analysis.gates import GateSet
from analysis.tagfile import PtuFile
from analysis.tagfile.ptu_writer import STOPPED_UNKNOWN
from analysis.tagfile.source import TagFileError
from labkit.run.blocks import journal_block, judge_block
from labkit.run.folder import RunFolder
from labkit.run.journal import UNVERIFIED, Block, Mended, Tail
from labkit.run.lines import reaching_disk, sha256_of
from labkit.run.record import BlockPlan, BlockRecord, Demands, RecordWriter, read_record


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What `recover_run` found.

    Attributes
    ----------
    blocks : list of Block
        All finished blocks, recovered ones included.
    recovered : tuple of str
        Segments that were complete but not yet in the journal; they are now.
    judged : tuple of str
        Segments whose block had no verdict yet.
    set_aside : tuple of str
        Incomplete segments, kept in ``tags/incomplete`` and not counted.
    cut_bytes : int
        Bytes of an unfinished journal line that were cut off.
    mended : Mended
        Damaged lines of the journal, put right or taken out; blocks of the latter counted again.
    """

    blocks: list[Block]
    recovered: tuple[str, ...]
    judged: tuple[str, ...]
    set_aside: tuple[str, ...]
    cut_bytes: int
    mended: Mended

    def __str__(self) -> str:
        damage = (
            f"; of damaged lines of the journal {self.mended.put_right} put right, "
            f"{self.mended.taken_out} taken out"
            if any(self.mended)
            else ""
        )
        left_out = sum(not block.good for block in self.blocks)
        return (
            f"{len(self.blocks)} finished blocks ({left_out} left out), {len(self.recovered)} of "
            f"them recovered, {len(self.judged)} verified only now; {len(self.set_aside)} "
            f"incomplete segments set aside{damage}"
        )


def recover_run(folder: RunFolder, *, mend: bool = False) -> Recovery:
    """Bring a run that ended anyhow into a state from which it can go on.

    No trial is counted twice: a block is in the journal or its segment is not counted. No complete
    block is lost: a segment that was closed, but has no journal line, is counted now, and counts
    if it passes the checks of every block, by its own record. Incomplete segments are set aside,
    not deleted. A last line of the journal that has its end but is damaged is put right, if a bit
    of it has changed, or taken out, and its block counted again.

    Parameters
    ----------
    folder : RunFolder
    mend : bool
        Whether to do the same with damaged lines before the last; otherwise they are an error.

    Raises
    ------
    JournalError
        If the journal is damaged before its last line, and `mend` is False.
    """
    journal = folder.journal
    mended = Mended(0, 0)
    if mend or journal.last_line_damaged():
        mended = journal.mend(_free(folder.path / "journal.damaged.jsonl"))
    cut = journal.cut_unfinished()
    tail = Tail(journal)  # the numbers may have gaps that will be closed below
    tail.poll()
    blocks = tail.blocks
    recovered, judged, aside = [], [], []
    for number, block in list(blocks.items()):
        if not block.good and block.reason == UNVERIFIED:
            blocks[number] = _judged_now(folder, block)
            judged.append(block.segment)
    listed = {block.segment for block in blocks.values()}
    for path in _segments_but(folder, listed):
        segment = folder.relative(path)
        found = _recovered(folder, path, blocks)
        if found is None:
            folder.set_aside(path)
            aside.append(segment)
        else:
            blocks[found.number] = found
            recovered.append(segment)
    return Recovery(
        blocks=journal.numbered(blocks), recovered=tuple(recovered), judged=tuple(judged),
        set_aside=tuple(aside), cut_bytes=cut, mended=mended,
    )  # fmt: skip


def _segments_but(folder: RunFolder, listed: set[str]) -> list[Path]:
    """Return the segments that are not listed; of a long run's no path is made but theirs."""
    tags = folder.path / "tags"
    if not tags.is_dir():
        return []
    with os.scandir(tags) as entries:
        names = sorted(entry.name for entry in entries if f"tags/{entry.name}" not in listed)
    return [tags / name for name in names if fnmatchcase(name, "block_*.ptu")]


RECOVERED = "recovered: complete segment without its journal line"
"""Begins the reason of a block that was counted only on resumption."""


def _recovered(folder: RunFolder, path: Path, there: Mapping[int, Block]) -> Block | None:
    """Journal a closed segment with its record; None if it is not both, or a copy of another."""
    number = folder.number_of(path)
    record = None if number is None else _record(folder, number)
    if number is None or number in there or record is None or not _is_closed(path):
        return None
    digest = sha256_of(path)
    if any(block.hashes.get(block.segment) == digest for block in there.values()):
        return None
    with reaching_disk(path, folder.record_path(number)):
        counts = count(path, record.plan.gates)
    return journal_block(folder, number, counts, note=RECOVERED)


def _judged_now(folder: RunFolder, block: Block) -> Block:
    if _record(folder, block.number) is None:
        return block
    return judge_block(folder, block, note="verified on resumption")


def _record(folder: RunFolder, number: int) -> BlockRecord | None:
    """Return a block's record; one of format 1 tells what the block was for, but not more."""
    path, old = folder.record_path(number), folder.intent_path(number)
    try:
        if not path.exists() and old.exists():
            plain = json.loads(old.read_text(encoding="utf-8"))
            gates = GateSet.from_dict(plain["gates"], where=str(old))
            RecordWriter(
                path,
                BlockPlan(
                    setting=plain["setting"], gates=gates, demands=Demands(),
                    started=plain["started"],
                ),
            )  # fmt: skip
            old.unlink()
        return read_record(path)
    except (OSError, ValueError, KeyError):
        return None  # the segment is set aside, not lost


def _is_closed(path: Path) -> bool:
    """Whether a segment was closed, with records in it: without trigger there are none."""
    try:
        file = PtuFile(path)
        closed = file.header.get("TTResult_StopReason") not in (None, STOPPED_UNKNOWN)
        return closed and file.n_records > 0
    except TagFileError:
        return False


def _free(path: Path) -> Path:
    """Return a path that no file has yet."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return free
