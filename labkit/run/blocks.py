"""Take one block of trials: disk checked, intent noted, tags recorded, counted, journaled."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, time

from analysis.counting import count
from analysis.counts import Counts
from analysis.gates import GateSet
from analysis.tagfile.source import TagFileError
from labkit.run.folder import RunFolder
from labkit.run.journal import Block
from labkit.run.manifest import utc_now, write_whole

CLOCK_JUMP = 2.0
"""Difference in s between wall clock and steady clock, over a block, that counts as a jump."""


class EmptyBlockError(RuntimeError):
    """A block's segment cannot be counted; it is set aside and the run can go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the recording of a block says of itself.

    Attributes
    ----------
    good : bool
        False if the block must be left out of the result.
    reason : str
        Why, or what was repaired.
    monitors : dict of str to float
    """

    good: bool = True
    reason: str = ""
    monitors: dict[str, float] = field(default_factory=dict)


Record = Callable[[Path], Outcome]
"""Records one segment to the given path, which must be complete and closed on return."""


def take_block(
    folder: RunFolder,
    gates: GateSet,
    number: int,
    record: Record,
    setting: Mapping[str, float | str] | None = None,
) -> Block:
    """Record, count and journal one block; on return it is safe on the disk.

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

    Raises
    ------
    OSError
        If the disk is nearly full or refuses; finished blocks are safe.
    EmptyBlockError
        If nothing was recorded, not even the passing of time: the tagger sees no trigger.
    """
    folder.check_disk()
    settings = dict(setting or {})
    started, steady, wall = utc_now(), monotonic(), time()
    intent = folder.intent_path(number)
    plan = {"setting": settings, "started": started, "gates": gates.to_dict()}
    write_whole(intent, json.dumps(plan) + "\n")
    segment = folder.segment_path(number)
    outcome = record(segment)
    counts = _counted(folder, segment, gates, outcome)
    duration = monotonic() - steady
    jump = (time() - wall) - duration
    reasons = [outcome.reason] if outcome.reason else []
    if abs(jump) > CLOCK_JUMP:
        reasons.append(f"the computer's clock jumped by {jump:+.1f} s during the block")
    block = Block(
        number=number,
        segment=segment.relative_to(folder.path).as_posix(),
        counts=counts,
        setting=settings,
        good=outcome.good,
        reason="; ".join(reasons),
        monitors=outcome.monitors,
        started=started,
        ended=utc_now(),
        duration=duration,
    )
    folder.journal.append(block)
    intent.unlink()
    return block


def _counted(folder: RunFolder, segment: Path, gates: GateSet, outcome: Outcome) -> Counts:
    """Count a segment; one that cannot be counted must not stand in the way of the next."""
    try:
        return count(segment, gates)
    except TagFileError as error:
        kept = folder.set_aside(segment)
        said = f"; {outcome.reason}" if outcome.reason else ""
        message = (
            f"{error}{said}; check the tagger's trigger, its level and its cable (the segment is "
            f"kept as {kept.name} in {kept.parent})"
        )
        raise EmptyBlockError(message) from error
