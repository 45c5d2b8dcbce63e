"""Counting a file that grows: what its header says is taken when the recording has ended."""

import numpy as np
import pytest

from analysis.counting import count, follow
from analysis.gates import Gate, GateSet
from analysis.tagfile import LAYOUTS, PtuFile, PtuWriter, TagFileError

GATES = GateSet(
    period=50e-6, detectors={1: 0, 2: 1}, gates=(Gate(name="pump", start=0.0, stop=60e-9),)
)
CLICKS = np.array([3, 1 << 25 | 5, 0xFE000001, 1 << 25 | 7], np.uint32)


@pytest.fixture
def growing(tmp_path):
    """A T3 file without records yet, and its writer."""
    with PtuWriter(tmp_path / "growing.ptu", sync_rate=20e3, acquisition_time=0.1) as writer:
        yield PtuFile(writer.path), writer


def test_counts_of_a_growing_file_do_not_call_it_empty(growing):
    source, writer = growing
    writer.write(CLICKS)
    first, *_ = follow(source.follow(idle_timeout=0.0), source, GATES)
    assert first.quality.records == len(CLICKS)
    assert not any("no records" in warning for warning in first.quality.warnings)


def test_last_counts_use_the_header_of_the_finished_file(growing):
    source, writer = growing
    writer.write(CLICKS)
    writer.close()
    *_, last = follow(source.follow(idle_timeout=0.0), source, GATES)
    assert last == count(source.path, GATES)
    assert last.trials.number == 2000
    assert last.quality.warnings == ()


@pytest.mark.parametrize("kernel", ["sparse", "bright"])
def test_impossible_overflows_name_the_file(tmp_path, kernel):
    path = tmp_path / "wild.ptu"
    with PtuWriter(path, layout=LAYOUTS[0x00010205]) as writer:
        writer.write(np.full(5000, 0xFFFFFFFF, np.uint32))
    with pytest.raises(TagFileError, match=r"wild\.ptu: overflow records must add up"):
        count(path, GATES, kernel=kernel)
