"""Gates files: what is allowed, and what a bad one is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.counting.shifts import first_tick
from analysis.counting.tally import make_timeline
from analysis.gates import Gate, GateSet, TrialStart

PAPER = """
period: 50.0e-6
trial: sync
detectors: {1: 0, 2: 1}
gates:
  pump: {start: 0.0, stop: 60.0e-9}
  read: {start: 123.0e-9, stop: 183.0e-9}
"""


@pytest.fixture
def gates_file(tmp_path):
    def write(text):
        path = tmp_path / "x.gates.yaml"
        path.write_text(text)
        return path

    return write


def test_gates_file_of_the_paper_is_read(gates_file):
    gates = GateSet.from_yaml(gates_file(PAPER))
    assert gates.period == 50e-6
    assert gates.detectors == {1: 0, 2: 1}
    assert gates.names == ("pump", "read")
    assert gates.gates[1] == Gate(name="read", start=123e-9, stop=183e-9)


def test_gates_survive_a_round_trip_through_yaml(gates_file):
    gates = GateSet.from_yaml(gates_file(PAPER.replace("sync", "{marker: 2}")))
    assert GateSet.from_yaml(gates_file(gates.to_yaml())) == gates
    assert gates.trial == TrialStart(kind="marker", number=2)


def test_seconds_without_a_decimal_point_are_numbers(gates_file):
    assert GateSet.from_yaml(gates_file(PAPER.replace("50.0e-6", "50e-6"))).period == 50e-6


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("stop: 60.0e-9", "stop: 130.0e-9", r"must not overlap, but 'read' starts at 1.23e-07 s"),
        ("stop: 183.0e-9", "stop: 51.0e-6", r"'read' must stop within the period of 5e-05 s"),
        ("start: 0.0", "start: 60.0e-9", r"'pump' must have start < stop"),
        ("{1: 0, 2: 1}", "{1: 0, 2: 0}", "each detector must have its own channel"),
        ("{1: 0, 2: 1}", "{}", "at least one detector"),
        ("{1: 0, 2: 1}", "{1: 99}", "channel 0 to 62, but is on 99"),
        ("{1: 0, 2: 1}", "{1: a}", "detector number to channel"),
        ("detectors", "detektors", "'detektors' is not known; did you mean 'detectors'"),
        ("period: 50.0e-6", "", "'period' is missing"),
        ("50.0e-6", "0.0", "`period` must be > 0"),
        ("50.0e-6", "fifty", "`period` must be a number of seconds, but is 'fifty'"),
        ("50.0e-6", "[1]", "must be a number of seconds"),
        ("sync", "{marker: 7}", "marker must be 1 to 4"),
        ("sync", "{channel: 1}", "must not be a detector's channel"),
        ("sync", "soon", "sync, clock, {marker: 1 to 4}"),
        ("start: 123.0e-9, ", "", "gate 'read': key 'start' is missing"),
        ("stop: 183.0e-9", "stop: .nan", "must have start < stop"),
        ("{start: 0.0, stop: 60.0e-9}", "5", "gate 'pump': must be a mapping"),
        (PAPER, "[]", "must be a mapping"),
        (PAPER, "a: [", "must be YAML"),
    ],
)
def test_bad_gates_file_is_refused_with_file_and_reason(gates_file, old, new, message):
    path = gates_file(PAPER.replace(old, new, 1))
    with pytest.raises(ValueError, match=message) as error:
        GateSet.from_yaml(path)
    assert str(path) in str(error.value)


def test_missing_gates_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none\.yaml: cannot be read"):
        GateSet.from_yaml(tmp_path / "none.yaml")


def test_123_ns_is_tick_492_of_250_ps_in_spite_of_floating_point():
    assert first_tick(123e-9, 250e-12) == 492
    assert first_tick(123.01e-9, 250e-12) == 493


@given(st.integers(0, 300), st.integers(1, 300), st.integers(0, 300), st.integers(1, 300))
def test_every_tick_is_in_the_bin_of_its_gate(start, length, gap, second):
    first = Gate(name="a", start=start * 1e-9, stop=(start + length) * 1e-9)
    late = start + length + gap
    after = Gate(name="b", start=late * 1e-9, stop=(late + second) * 1e-9)
    gates = GateSet(period=5e-6, detectors={1: 0}, gates=(first, after))
    line = make_timeline(gates, 1e-9)
    ticks = range(late + second + 50)
    found = [line.gate_of_bin[line.bin_of(_array(tick))] for tick in ticks]
    wanted = [
        0 if start <= t < start + length else 1 if late <= t < late + second else -1 for t in ticks
    ]
    assert [int(f[0]) for f in found] == wanted


def _array(tick):
    import numpy as np

    return np.array([tick])


def test_histogram_edges_contain_the_gate_edges():
    gates = GateSet(
        period=50e-6,
        detectors={1: 0},
        gates=(
            Gate(name="pump", start=10e-9, stop=70e-9),
            Gate(name="read", start=3e-6, stop=3.06e-6),
        ),
    )
    edges = make_timeline(gates, 250e-12).edges(250e-12)
    for wanted in (0, 10e-9, 70e-9, 3e-6, 3.06e-6):
        assert abs(edges - wanted).min() < 1e-15
    assert len(edges) == make_timeline(gates, 250e-12).n_bins + 1


def test_gate_narrower_than_a_tick_is_refused():
    gates = GateSet(
        period=1e-6, detectors={1: 0}, gates=(Gate(name="thin", start=1.1e-9, stop=1.2e-9),)
    )
    with pytest.raises(ValueError, match="'thin' must be at least one tick"):
        make_timeline(gates, 1e-9)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{1: 0, 2: 1}", "{1: 0, 1: 1}", "each key must stand once, but '1' is repeated"),
        ("{1: 0, 2: 1}", '{1: 0, "1": 1}', "detector 1 must have one channel"),
        ("{1: 0, 2: 1}", "{-1: 0, 2: 1}", "must not be negative, but one is -1"),
        ("read:", "pump:", "each key must stand once, but 'pump' is repeated"),
        ("read:", "true:", "gate name must be text .* but is True"),
    ],
)
def test_what_yaml_would_silently_change_is_refused(gates_file, old, new, message):
    assert old in PAPER
    with pytest.raises(ValueError, match=message):
        GateSet.from_yaml(gates_file(PAPER.replace(old, new)))
