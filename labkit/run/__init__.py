"""Runs: folders that are complete in themselves, journaled block by block, resumable."""

from labkit.run.agreement import Agreement, check_run
from labkit.run.blocks import EmptyBlockError, Outcome, take_block
from labkit.run.folder import RunFolder, create_run, gates_beside, list_runs, open_run, tag_files
from labkit.run.goal import Goal
from labkit.run.journal import Block, Journal, JournalError, main_setting, total_counts
from labkit.run.manifest import Manifest
from labkit.run.recovery import Recovery, recover_run

__all__ = [
    "Agreement",
    "Block",
    "EmptyBlockError",
    "Goal",
    "Journal",
    "JournalError",
    "Manifest",
    "Outcome",
    "Recovery",
    "RunFolder",
    "check_run",
    "create_run",
    "gates_beside",
    "list_runs",
    "main_setting",
    "open_run",
    "recover_run",
    "tag_files",
    "take_block",
    "total_counts",
]
