"""Damaged tag files of every format are read or refused with their name, never anything else."""

import pytest

from benchmarks.fuzz import Tried, fuzz, seeds


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One small file of every format."""
    return seeds(tmp_path_factory.mktemp("seeds"))


def test_whole_files_are_read(files):
    for name, data in files.items():
        tried = fuzz(data, name, 0, every=len(data), whole=True)
        assert (tried.failures, tried.read) == ([], 1), name


@pytest.mark.long
def test_truncated_and_mutated_files_are_read_or_named(files):
    total = Tried()
    for name, data in files.items():
        total.add(fuzz(data, name, 30, seed=7, every=len(data) // 10))
    assert total.failures == []
    assert total.refused > 400
    assert total.read > 200
    assert total.slowest < 5.0
