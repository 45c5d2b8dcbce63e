"""Runs: folders that are complete in themselves, journaled block by block, resumable."""

from labkit.run.agreement import Agreement, check_run
from labkit.run.blocks import EmptyBlockError, take_block
from labkit.run.folder import RunFolder, create_run, gates_beside, list_runs, open_run, tag_files
from labkit.run.goal import Goal
from labkit.run.journal import (
    Block,
    Journal,
    JournalError,
    Tail,
    main_setting,
    total_counts,
)
from labkit.run.manifest import Manifest
from labkit.run.record import BlockOutcome, Demands, RecordWriter
from labkit.run.recovery import Recovery, recover_run
from labkit.run.references import usual_rates
from labkit.run.verification import BlockEvidence, problems_of

__all__ = [
    "Agreement",
    "Block",
    "BlockEvidence",
    "BlockOutcome",
    "Demands",
    "EmptyBlockError",
    "Goal",
    "Journal",
    "JournalError",
    "Manifest",
    "RecordWriter",
    "Recovery",
    "RunFolder",
    "Tail",
    "check_run",
    "create_run",
    "gates_beside",
    "list_runs",
    "main_setting",
    "open_run",
    "problems_of",
    "recover_run",
    "tag_files",
    "take_block",
    "total_counts",
    "usual_rates",
]
