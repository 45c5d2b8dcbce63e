"""The guard of the benchmarks' ratios: what it lets pass, and what it must not."""

import json

import pytest

from benchmarks import guard
from benchmarks.timing import Row


def row(name, ratio, noise=0.05):
    return Row(name=name, ratio=ratio, noise=noise, target=1.0, detail="")


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Ratios recorded in a file of the test's own."""
    monkeypatch.setattr(guard, "RECORDED", tmp_path / "recorded.json")
    guard.record([row("fast", 10.0), row("faster", 40.0)])
    return guard.RECORDED


def test_equal_and_higher_ratios_pass(recorded):
    assert guard.fallen([row("fast", 10.0), row("faster", 55.0)]) == []
    assert guard.fallen([row("fast", 7.5)]) == []  # 0.8 of it, less the noise of both


def test_lower_ratios_fall(recorded):
    assert guard.fallen([row("fast", 5.0), row("faster", 40.0)]) == [
        "fast: 5, but 10 when recorded"
    ]


def test_an_empty_table_compares_nothing_and_does_not_pass(recorded):
    assert guard.fallen([]) == ["nothing was measured, so nothing can be compared"]
    recorded.unlink()
    assert "no ratio was recorded" in guard.fallen([row("fast", 10.0)])[0]


def test_recording_one_room_keeps_the_others(recorded):
    guard.record([row("fast", 12.0, noise=float("nan"))])
    kept = json.loads(recorded.read_text())
    assert kept["fast"] == {"ratio": 12.0, "noise": None}
    assert kept["faster"]["ratio"] == 40.0
