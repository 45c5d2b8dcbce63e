"""Take one block of trials: disk checked, plan noted, tags recorded, counted, verified."""

from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic, time

from analysis.counting import count
from analysis.counting.shifted import shifted_counts
from analysis.counts import Counts
from analysis.gates import GateSet
from analysis.tagfile import open_tags
from analysis.tagfile.source import TagFileError
from labkit.run.evidence import WITNESS
from labkit.run.folder import RunFolder
from labkit.run.journal import Block, judged
from labkit.run.lines import reaching_disk, sha256_of
from labkit.run.manifest import utc_now
from labkit.run.parts import parts_of
from labkit.run.record import (
    BlockOutcome,
    BlockPlan,
    BlockRecord,
    Demands,
    RecordWriter,
    read_record,
)
from labkit.run.verification import evidence_of, problems_of

CLOCK_JUMP = 2.0
"""Difference in s between wall clock and steady clock, over a block, that counts as a jump."""


class EmptyBlockError(RuntimeError):
    """A block's segment cannot be counted; it is set aside and the run can go on."""


Recorder = Callable[[Path, RecordWriter], BlockOutcome]
"""Records one segment to the given path, which must be complete and closed on return, and notes
samples of the lab's state meanwhile."""


def take_block(
    folder: RunFolder,
    gates: GateSet,
    number: int,
    record: Recorder,
    setting: Mapping[str, float | str] | None = None,
    demands: Demands | None = None,
) -> Block:
    """Record, count, journal and verify one block; on return it is safe on the disk.

    Until the last step, a line of its verdict, it does not count.

    Parameters
    ----------
    folder : RunFolder
    gates : GateSet
    number : int
        The block's number, one more than the last.
    record : callable
        Makes the segment.
    setting : mapping, optional
        What is varied from block to block.
    demands : Demands, optional
        What it must hold to count; by default what every block must.

    Raises
    ------
    OSError
        If the disk is nearly full or refuses; finished blocks are safe.
    EmptyBlockError
        If nothing was recorded, not even the passing of time: the tagger sees no trigger.
    """
    folder.check_disk()
    started, steady, wall = utc_now(), monotonic(), time()
    plan = BlockPlan(
        setting=dict(setting or {}), gates=gates, demands=demands or Demands(), started=started
    )
    writer = RecordWriter(folder.record_path(number), plan)
    segment = folder.segment_path(number)
    outcome = record(segment, writer)
    duration = monotonic() - steady
    jump = (time() - wall) - duration
    if abs(jump) > CLOCK_JUMP:
        note = f"the computer's clock jumped by {jump:+.1f} s during the block"
        outcome = BlockOutcome(
            problems=outcome.problems, notes=(*outcome.notes, note), whole=outcome.whole,
            monitors=outcome.monitors,
        )  # fmt: skip
    writer.end(outcome)
    with reaching_disk(segment, writer.path):  # before the line that makes it count
        counts = _counted(folder, segment, gates, outcome)
    return journal_block(folder, number, counts, duration=duration)


def journal_block(
    folder: RunFolder, number: int, counts: Counts, *, duration: float = 0.0, note: str = ""
) -> Block:
    """Journal a block whose segment and record are complete on the disk, and verify it from these.

    Parameters
    ----------
    folder : RunFolder
    number : int
    counts : Counts
        Of its segment.
    duration : float
        Seconds by a clock that never jumps; 0 if not known.
    note : str
        Said first in the reason.
    """
    segment, path = folder.segment_path(number), folder.record_path(number)
    record = read_record(path)
    block = Block(
        number=number,
        segment=folder.relative(segment),
        counts=counts,
        setting=record.plan.setting,
        monitors=record.monitors(),
        started=record.plan.started,
        ended=utc_now(),
        duration=duration,
        hashes={folder.relative(file): sha256_of(file) for file in (segment, path)},
        size=segment.stat().st_size,
        shifted=_shifted(segment, counts, record),
        parts=parts_of(segment, counts, record.spans),
    )
    folder.journal.append(block)
    return judge_block(folder, block, note=note, record=record)


def judge_block(
    folder: RunFolder, block: Block, *, note: str = "", record: BlockRecord | None = None
) -> Block:
    """Verify a journaled block from its record, and write its verdict.

    Parameters
    ----------
    folder : RunFolder
    block : Block
    note : str
        Said first in the reason.
    record : BlockRecord, optional
        As read back already.

    Raises
    ------
    ValueError
        If its record cannot be read.
    """
    record = record or read_record(folder.record_path(block.number))
    problems = problems_of(evidence_of(record, block.counts, folder.path / block.segment))
    notes = record.outcome.notes if record.outcome else ()
    reason = "; ".join(filter(None, (note, *notes, *problems)))
    folder.journal.judge(block.number, good=not problems, reason=reason)
    return judged(block, good=not problems, reason=reason)


def _shifted(segment: Path, counts: Counts, record: BlockRecord) -> list[list[int]] | None:
    """Return the pairs of shifted trials of a witness block, for the null test of its verdict."""
    setting, gates = record.plan.setting, counts.gates
    if setting.get("procedure") != WITNESS or not {"pump", "read"} <= set(gates.names):
        return None
    source = open_tags(segment)
    if source.layout.mode != "T3":
        return None
    found: list[list[int]] = shifted_counts(source, gates, counts.trials.number).pairs.tolist()
    return found


def _counted(folder: RunFolder, segment: Path, gates: GateSet, outcome: BlockOutcome) -> Counts:
    """Count a segment; one that cannot be counted must not stand in the way of the next."""
    if not segment.exists():
        message = f"{segment.name}: the recording ended before there was anything to write"
        raise EmptyBlockError(message)
    try:
        return count(segment, gates)
    except TagFileError as error:
        kept = folder.set_aside(segment)
        said = "".join(f"; {problem}" for problem in (*outcome.notes, *outcome.problems))
        message = (
            f"{error}{said}; check the tagger's trigger, its level and its cable (the segment is "
            f"kept as {kept.name} in {kept.parent})"
        )
        raise EmptyBlockError(message) from error
