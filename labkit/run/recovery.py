"""Bring a run that ended anyhow, even by kill -9, into a state from which it can go on."""

import json
from dataclasses import dataclass
from pathlib import Path

from analysis.counting import count
from analysis.gates import GateSet
from analysis.tagfile import PtuFile
from analysis.tagfile.ptu_writer import STOPPED_TIME_OVER
from analysis.tagfile.source import TagFileError
from labkit.run.folder import RunFolder
from labkit.run.journal import Block
from labkit.run.manifest import utc_now


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What `recover_run` found.

    Attributes
    ----------
    blocks : list of Block
        All finished blocks, recovered ones included.
    recovered : tuple of str
        Segments that were complete but not yet in the journal; they are now.
    set_aside : tuple of str
        Incomplete segments, kept in ``tags/incomplete`` and not counted.
    cut_bytes : int
        Bytes of an unfinished journal line that were cut off.
    """

    blocks: list[Block]
    recovered: tuple[str, ...]
    set_aside: tuple[str, ...]
    cut_bytes: int

    def __str__(self) -> str:
        return (
            f"{len(self.blocks)} finished blocks, {len(self.recovered)} of them recovered; "
            f"{len(self.set_aside)} incomplete segments set aside"
        )


def recover_run(folder: RunFolder) -> Recovery:
    """Bring a run that ended anyhow into a state from which it can go on.

    No trial is counted twice: a block is in the journal or its segment is not counted. No complete
    block is lost: a segment that ended by its measuring time but has no journal line is counted
    now. Incomplete segments are set aside, not deleted.
    """
    journal = folder.journal
    cut = journal.cut_unfinished()
    blocks = journal.read()
    recovered, aside = [], []
    listed = {block.segment for block in blocks}
    for path in sorted((folder.path / "tags").glob("block_*.ptu")):
        segment = str(path.relative_to(folder.path).as_posix())
        if segment in listed:
            continue
        number = len(blocks) + 1
        planned = path == folder.segment_path(number) and folder.intent_path(number).exists()
        if planned and _is_complete(path):
            block = _recover(folder, path, segment, number)
            journal.append(block)
            blocks.append(block)
            recovered.append(segment)
        else:
            folder.set_aside(path)
            aside.append(segment)
    return Recovery(
        blocks=blocks, recovered=tuple(recovered), set_aside=tuple(aside), cut_bytes=cut
    )


def _recover(folder: RunFolder, path: Path, segment: str, number: int) -> Block:
    intent = json.loads(folder.intent_path(number).read_text(encoding="utf-8"))
    gates = GateSet.from_dict(intent["gates"], where=str(folder.intent_path(number)))
    return Block(
        number=number,
        segment=segment,
        counts=count(path, gates),
        setting=intent["setting"],
        started=intent["started"],
        ended=utc_now(),
        reason="recovered: complete segment whose journal line, and so its monitors, was missing",
    )


def _is_complete(path: Path) -> bool:
    """Whether a segment ended by its time, with records in it: without trigger there are none."""
    try:
        file = PtuFile(path)
        return file.header.get("TTResult_StopReason") == STOPPED_TIME_OVER and file.n_records > 0
    except TagFileError:
        return False
