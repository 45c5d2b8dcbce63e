"""Delays and windows of single detectors, gates before the trial, and many cells: brute force."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.counting import count
from analysis.counting.bright import BrightCounter
from analysis.counting.patterns import count_patterns
from analysis.counting.sparse import SparseCounter
from analysis.counting.tally import Tally, make_plan
from analysis.gates import Gate, GateSet, TrialStart
from analysis.tagfile import write_ptu
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import LAYOUTS, SYNC

TICK = 1e-9
PERIOD = 100
T2, T3 = 0x00010206, 0x00010306


def by_hand(clicks, gates, trials):
    """Singles, pairs and repeated clicks from (trial, tick, channel), each in its own trial."""
    channel_of = {channel: number for number, channel in gates.detectors.items()}
    found = {}
    for trial, tick, channel in clicks:
        number = channel_of.get(channel)
        if number is None:
            continue
        tick += round(gates.delays.get(number, 0.0) / TICK)
        for shifted, time in (
            (trial, tick),
            (trial + 1, tick - PERIOD),
            (trial - 1, tick + PERIOD),
        ):
            for gate in gates.gates:
                start, stop = gate.window(number)
                if round(start / TICK) <= time < round(stop / TICK) and 0 <= shifted < trials:
                    cell = gates.cells.index((gate.name, number))
                    found.setdefault(shifted, []).append(cell)
    n = len(gates.cells)
    singles, pairs, repeated = np.zeros(n, int), np.zeros((n, n), int), np.zeros(n, int)
    for cells in found.values():
        for cell in set(cells):
            singles[cell] += 1
            repeated[cell] += cells.count(cell) - 1
        for a, b in combinations(sorted(set(cells)), 2):
            pairs[a, b] += 1
            pairs[b, a] += 1
    return singles, pairs, repeated


def recorded(path, mode, clicks, trials):
    """Write clicks (trial, tick, channel) as T2 with syncs or T3, one sync every 100 ns."""
    if mode == "T3":
        rows = sorted(clicks)
        events = Events(
            time=np.array([t for t, _, _ in rows], np.int64),
            dtime=np.array([d for _, d, _ in rows], np.int32),
            channel=np.array([c for _, _, c in rows], np.uint8),
        )
    else:
        rows = sorted(
            [(t * PERIOD, -1, SYNC) for t in range(trials + 1)]
            + [(t * PERIOD + d, c, c) for t, d, c in clicks]
        )
        events = Events(
            time=np.array([t for t, _, _ in rows], np.int64), dtime=None,
            channel=np.array([c for _, _, c in rows], np.uint8),
        )  # fmt: skip
    write_ptu(path, events, layout=LAYOUTS[T3 if mode == "T3" else T2], resolution=TICK,
              sync_rate=1e9 / PERIOD, end_time=trials if mode == "T3" else None)  # fmt: skip
    return path


def random_clicks(seed, trials=60, number=400, channels=4):
    rng = np.random.default_rng(seed)
    rows = zip(rng.integers(0, trials, number), rng.integers(0, PERIOD, number),
               rng.integers(0, channels, number), strict=True)  # fmt: skip
    return [tuple(map(int, row)) for row in rows]


def gate_set(*gates, delays=None):
    return GateSet(
        period=PERIOD * TICK, detectors={1: 0, 2: 1, 5: 2}, delays=delays or {},
        gates=tuple(
            Gate(name=name, start=a * TICK, stop=b * TICK,
                 windows={d: (p * TICK, q * TICK) for d, (p, q) in own.items()})
            for name, a, b, own in gates
        ),
    )  # fmt: skip


PLAIN = (("a", 5, 20, {}), ("b", 40, 60, {}))
CASES = {
    "plain": gate_set(*PLAIN),
    "delays inside a trial": gate_set(*PLAIN, delays={1: 3e-9, 5: -7e-9}),
    "delays across trials": gate_set(*PLAIN, delays={1: 9e-9, 2: 30e-9}),
    "earlier across trials": gate_set(("a", 0, 9, {}), ("b", 40, 60, {}), delays={2: -35e-9}),
    "before the trial": gate_set(("a", -8, 5, {}), ("b", 40, 60, {})),
    "own windows": gate_set(("a", 5, 20, {2: (8, 30)}), ("b", 40, 60, {5: (35, 45), 1: (48, 57)})),
    "all at once": gate_set(("a", -8, 5, {1: (-12, 2)}), ("b", 40, 60, {2: (30, 41)}),
                            delays={1: -4e-9, 5: 6e-9}),
}  # fmt: skip


@pytest.mark.parametrize("mode", ["T2", "T3"])
@pytest.mark.parametrize("kernel", ["sparse", "bright"])
@pytest.mark.parametrize("case", CASES)
def test_counts_are_those_by_hand(tmp_path, mode, kernel, case):
    gates, trials = CASES[case], 60
    clicks = random_clicks(len(case))
    counts = count(recorded(tmp_path / "a.ptu", mode, clicks, trials), gates, kernel=kernel)
    # a click in the last trial may belong to one more, of which nothing else was recorded
    singles, pairs, repeated = by_hand(clicks, gates, trials + 1)
    assert counts.singles.ravel().tolist() == singles.tolist()
    assert counts.pairs.tolist() == pairs.tolist()
    assert counts.repeated.ravel().tolist() == repeated.tolist()
    assert singles.min() > 0
    assert pairs.max() > 0


@pytest.mark.parametrize("mode", ["T2", "T3"])
@pytest.mark.parametrize("case", CASES)
def test_several_files_have_their_clicks_moved_as_each_alone(tmp_path, mode, case):
    files = [recorded(tmp_path / f"{n}.ptu", mode, random_clicks(n), 60) for n in range(3)]
    together = count(files, CASES[case])
    one_by_one = [count(file, CASES[case]) for file in files]
    assert together.to_dict() == sum(one_by_one[1:], one_by_one[0]).to_dict()


@settings(max_examples=40, deadline=None)
@given(
    delays=st.lists(st.integers(-30, 30), min_size=3, max_size=3),
    start=st.integers(-20, 30),
    length=st.integers(1, 20),
    seed=st.integers(0, 1000),
)
def test_any_delay_and_start_counts_by_hand(tmp_path_factory, delays, start, length, seed):
    gates = gate_set(
        ("a", start, start + length, {}),
        delays=dict(zip((1, 2, 5), (d * TICK for d in delays), strict=True)),
    )
    clicks = random_clicks(seed)
    path = recorded(tmp_path_factory.mktemp("shifts") / "a.ptu", "T3", clicks, 60)
    singles, pairs, _ = by_hand(clicks, gates, 61)
    counts = count(path, gates)
    assert counts.singles.ravel().tolist() == singles.tolist()
    assert counts.pairs.tolist() == pairs.tolist()


def test_arrival_times_are_given_with_the_delays(tmp_path):
    gates = gate_set(("a", -8, 5, {}), ("b", 40, 60, {}), delays={1: 6e-9})
    counts = count(recorded(tmp_path / "a.ptu", "T3", [(3, 97, 0), (3, 95, 1)], 60), gates)
    edges, clicks = counts.arrivals("a")
    assert edges[0] == pytest.approx(-8e-9)
    assert edges[np.flatnonzero(clicks[0])] == pytest.approx([3e-9])
    assert edges[np.flatnonzero(clicks[1])] == pytest.approx([-5e-9])


def test_a_gate_before_the_trial_must_be_in_the_file(tmp_path):
    events = Events(
        time=np.array([3]), dtime=np.array([5], np.int32), channel=np.array([0], np.uint8)
    )
    path = tmp_path / "a.ptu"
    write_ptu(path, events, layout=LAYOUTS[T3], resolution=TICK, sync_rate=20e3, end_time=5)
    gates = GateSet(period=50e-6, detectors={1: 0}, gates=(Gate(name="a", start=-1e-9, stop=9e-9),))
    with pytest.raises(ValueError, match=r"a\.ptu: a gate reaches into the trial before .*not in"):
        count(path, gates)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"delays": {3: 1e-9}}, "`delays` must be of the detectors 1, 2, 5, but one is of 3"),
        ({"delays": {1: 1e-6}}, "must be shorter than the period"),
        ({"gates": {"a": {"start": 0, "stop": 1e-9, "detectors": {9: {"start": 0, "stop": 1}}}}},
         "window for detector 9, which is none of the detectors 1, 2, 5"),
        ({"gates": {"a": {"start": -9e-9, "stop": 95e-9}}}, "no longer than the period"),
        ({"gates": {"a": {"start": 0, "stop": 9e-9, "detectors": {1: {"start": 0, "stop": 20e-9}}},
                    "b": {"start": 15e-9, "stop": 30e-9}}}, "'b' starts at 1.5e-08 s before 'a'"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        GateSet.from_dict(CASES["plain"].to_dict() | change)


def test_a_gates_file_keeps_delays_and_windows(tmp_path):
    for gates in CASES.values():
        path = tmp_path / "x.gates.yaml"
        path.write_text(gates.to_yaml(), encoding="utf-8")
        assert GateSet.from_yaml(path) == gates


def many_cells(channels, gates):
    width = 90 // gates
    return GateSet(
        period=PERIOD * TICK,
        detectors={k: k for k in range(channels)},
        gates=tuple(
            Gate(name=f"g{k}", start=k * width * TICK, stop=(k + 1) * width * TICK)
            for k in range(gates)
        ),
    )


@pytest.mark.parametrize("mode", ["T2", "T3"])
@pytest.mark.parametrize("kernel", ["sparse", "bright"])
@pytest.mark.parametrize(("channels", "gates"), [(21, 3), (63, 10)])
def test_many_cells_count_by_hand(tmp_path, mode, kernel, channels, gates):
    wanted = many_cells(channels, gates)
    clicks = random_clicks(5, trials=50, number=900, channels=channels)
    counts = count(recorded(tmp_path / "a.ptu", mode, clicks, 50), wanted, kernel=kernel)
    singles, pairs, repeated = by_hand(clicks, wanted, 50)
    assert counts.singles.ravel().tolist() == singles.tolist()
    assert counts.pairs.tolist() == pairs.tolist()
    assert counts.repeated.ravel().tolist() == repeated.tolist()
    assert repeated.sum() > 3


@pytest.mark.parametrize("mode", ["T2", "T3"])
@pytest.mark.parametrize(("channels", "gates"), [(2, 3), (21, 3), (63, 10)])
def test_patterns_of_any_number_of_cells_are_those_made_by_hand(tmp_path, mode, channels, gates):
    wanted = many_cells(channels, gates)
    clicks = random_clicks(9, trials=50, number=300, channels=channels)
    found = count_patterns(recorded(tmp_path / "a.ptu", mode, clicks, 50), wanted)
    several = {}
    for trial in range(50):
        cells = {
            (f"g{tick // (90 // gates)}", channel)
            for own, tick, channel in clicks
            if own == trial and tick // (90 // gates) < gates and channel < channels
        }
        if len(cells) > 1:
            several[frozenset(cells)] = several.get(frozenset(cells), 0) + 1
    assert found.several == several
    assert max(map(len, several)) > 2


@pytest.mark.parametrize("record_type", [0x00010303, 0x00010304, 0x00010305])
def test_many_cells_of_any_device_and_disorder_count_alike(record_type):
    layout = LAYOUTS[record_type]
    channels = 15 if layout.family == "pico" else 40
    plan = make_plan(many_cells(channels, 9), layout, TICK)
    rng, n, pico = np.random.default_rng(3), 60_000, layout.family == "pico"
    sync = np.arange(n) // 3 % layout.wrap
    dtime, channel = rng.integers(0, 95, n), rng.integers(0, channels, n)
    records = channel << (28 if pico else 25) | dtime << (16 if pico else 10) | sync
    records = np.where(rng.random(n) < 0.02, rng.integers(0, 2**32, n), records).astype(np.uint32)
    both = []
    for Counter in (SparseCounter, BrightCounter):
        both.append(Tally.empty(plan))
        counter = Counter(plan, both[-1])
        for start in range(0, len(records), 7_001):
            counter.count(records[start : start + 7_001])
        counter.finish()
    assert both[0].pairs.tolist() == both[1].pairs.tolist()
    assert both[0].histogram.tolist() == both[1].histogram.tolist()
    assert both[0].repeated.tolist() == both[1].repeated.tolist()
    assert both[0].pairs.sum() > 20


def test_trials_begun_by_a_clock_have_delays_too(tmp_path):
    gates = CASES["before the trial"].to_dict() | {"trial": {"clock": {"t0": 0.0}}}
    wanted = GateSet.from_dict(gates)
    assert wanted.trial == TrialStart(kind="clock", t0=0.0)
    clicks = random_clicks(8)
    path = recorded(tmp_path / "a.ptu", "T2", clicks, 60)
    for kernel in ("sparse", "bright"):
        singles, pairs, _ = by_hand(clicks, wanted, 61)
        counts = count(path, wanted, kernel=kernel)
        assert counts.singles.ravel().tolist() == singles.tolist()
        assert counts.pairs.tolist() == pairs.tolist()
