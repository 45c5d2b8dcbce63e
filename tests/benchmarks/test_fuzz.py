"""Damaged tag files of every format are read or refused with their name, never anything else."""

import pytest

from benchmarks.fuzz import fuzz

pytestmark = pytest.mark.long


def test_truncated_and_mutated_files_are_read_or_named():
    tried = fuzz(450, seed=7, every=100)
    assert tried.failures == []
    assert tried.refused > 400
    assert tried.read > 50
    assert tried.slowest < 5.0
