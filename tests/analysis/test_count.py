"""The counting kernels against a plain Python reference that follows the record tables."""

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.counting import count, follow
from analysis.counting.count import _Progress, count_stretch, cut, plan_for
from analysis.counting.report import report_counts
from analysis.counting.tally import Tally
from analysis.counts import Counts
from analysis.evaluation import evaluate, g2_of_pairs
from analysis.gates import Gate, GateSet, TrialStart
from analysis.tagfile import open_tags, write_ptu
from analysis.tagfile.codec import Decoder, Encoder
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import LAYOUTS, MARKER, SYNC, RecordLayout
from analysis.tagfile.source import TagFileError, TagSource

TICK = 1e-9
PERIOD = 50
GATES = (Gate(name="pump", start=2e-9, stop=10e-9), Gate(name="read", start=15e-9, stop=31e-9))


class MemorySource(TagSource):
    """Records in memory, yielded in blocks of a chosen size."""

    def __init__(self, records, layout, *, block=7, measured_time=None, sync_rate=None):
        self.path = Path("memory.ptu")
        self.format = "ptu"
        self.layout = layout
        self.header = {}
        self.resolution = TICK
        self.sync_period = PERIOD * TICK
        self.sync_rate = sync_rate
        self.measured_time = measured_time
        self.warnings = ()
        self.records = np.asarray(records, np.uint32)
        self.block = block

    @property
    def n_records(self):
        return len(self.records)

    def blocks(self, start=0, stop=None, *, size=1 << 18):
        stop = len(self.records) if stop is None else stop
        for i in range(start, stop, self.block):
            yield self.records[i : min(i + self.block, stop)]


@dataclass
class Reference:
    """What a careful reader with the vendor's table and a pencil would count."""

    layout: RecordLayout
    gates: GateSet
    singles: dict = field(default_factory=dict)
    pairs: dict = field(default_factory=dict)
    quality: dict = field(default_factory=lambda: dict.fromkeys(
        ("missing_syncs", "doubled_syncs", "out_of_order", "unknown_records", "early_clicks",
         "foreign_clicks", "ungated_clicks", "markers", "repeated_clicks",
         "crowded_trials"), 0))  # fmt: skip
    wrapped: int = 0
    last: int = -1
    highest: int = -1
    trial: int | None = None
    trials: int = 0
    slot: int = 0
    clicked: set = field(default_factory=set)
    crowded: bool = False

    def read(self, record):
        layout, q = self.layout, self.quality
        pico, t3 = layout.family == "pico", layout.mode == "T3"
        channel = record >> 28 if pico else (record >> 25) & 63
        special = channel == 15 if pico else record >> 31
        time = (
            record & (0xFFFF if t3 else 0xFFFFFFF)
            if pico
            else record & (0x3FF if t3 else 0x1FFFFFF)
        )
        dtime = (record >> 16) & 0xFFF if pico else (record >> 10) & 0x7FFF
        if special:
            marker = (dtime if t3 else record & 15) if pico else channel
            if (pico and marker == 0) or (not pico and channel == 63):
                self.wrapped += layout.wrap * (max(time, 1) if layout.counted_overflows else 1)
                return
            if marker > 15 or (channel == 0 and t3):
                q["unknown_records"] += 1
                return
            if t3:
                q["markers"] += 1
                return
            self.tag(self.wrapped + time, MARKER + marker)
        elif t3:
            self.photon_t3(self.wrapped + time, dtime, channel)
        else:
            self.tag(self.wrapped + time, channel)

    def step(self, time):
        self.quality["out_of_order"] += time < self.last
        self.last = time

    def photon_t3(self, sync, dtime, channel):
        if sync != self.last:
            self.begin()
        self.step(sync)
        self.highest = max(self.highest, sync)
        self.click(channel, dtime)

    def begin(self):
        self.clicked, self.crowded = set(), False

    def tag(self, time, code):  # noqa: C901  # the record table, case by case
        self.step(time)
        start = self.gates.trial
        wanted = {"sync": SYNC, "channel": start.number}.get(start.kind)
        if start.kind == "marker":
            is_start = code > MARKER and (code - MARKER) >> (start.number - 1) & 1
        else:
            is_start = code == wanted
        if is_start:
            divider = start.divider or 1
            period = PERIOD * divider
            if self.trial is not None and time - self.trial > 1.5 * period:
                self.quality["missing_syncs"] += int((time - self.trial) / period + 0.5) - 1
            if self.trial is not None and 0 <= time - self.trial < period / 2:
                self.quality["doubled_syncs"] += 1
            self.trial = time
            self.slot = 0
            self.trials += divider
            self.begin()
        elif code >= SYNC:
            self.quality["markers"] += code > MARKER
        elif code not in self.gates.detectors.values():
            self.quality["foreign_clicks"] += 1
        elif start.kind == "clock":
            if time // PERIOD * PERIOD != self.trial:
                self.trial = time // PERIOD * PERIOD
                self.begin()
            self.click(code, time - self.trial)
        elif self.trial is None:
            self.quality["early_clicks"] += 1
        else:
            slot = min(max((time - self.trial) // PERIOD, 0), (start.divider or 1) - 1)
            if slot != self.slot:
                self.slot = slot
                self.begin()
            self.click(code, time - self.trial - slot * PERIOD)

    def click(self, channel, ticks):
        detector = {c: d for d, c in self.gates.detectors.items()}.get(channel)
        if detector is None:
            self.quality["foreign_clicks"] += 1
            return
        gate = next((g for g in self.gates.gates if g.start <= ticks * TICK < g.stop), None)
        if gate is None:
            self.quality["ungated_clicks"] += 1
            return
        cell = (gate.name, detector)
        if cell in self.clicked:
            self.quality["repeated_clicks"] += 1
            self.quality["crowded_trials"] += not self.crowded
            self.crowded = True
            return
        self.singles[cell] = self.singles.get(cell, 0) + 1
        for other in self.clicked:
            key = frozenset((cell, other))
            self.pairs[key] = self.pairs.get(key, 0) + 1
        self.clicked.add(cell)


def check(counts: Counts, reference: Reference):
    cells = counts.gates.cells
    assert {c: counts.single(*c) for c in cells if counts.single(*c)} == reference.singles
    pairs = {
        frozenset((a, b)): counts.coincidence(a, b)
        for a in cells
        for b in cells
        if a != b and counts.coincidence(a, b)
    }
    assert pairs == reference.pairs
    plain = counts.quality.to_dict()
    assert {name: plain[name] for name in reference.quality} == reference.quality
    if reference.layout.mode == "T3":
        assert counts.trials.number == max(reference.wrapped, reference.highest + 1)
    if counts.gates.trial.kind != "clock" and reference.layout.mode == "T2":
        assert counts.trials.number == reference.trials


def gate_set(trial):
    return GateSet(
        period=PERIOD * TICK, detectors={1: 0, 2: 1}, gates=GATES, trial=TrialStart.parse(trial)
    )


def hydra_record(mode):
    photon = st.tuples(st.just(0), st.integers(0, 2))
    special = st.tuples(st.just(1), st.sampled_from([0, 0, 0, 0, 1, 2, 3, 15, 16, 62]))
    overflow = st.tuples(st.just(1), st.just(63))
    code = st.one_of(photon, photon, photon, special, overflow)
    if mode == "T3":
        rest = st.tuples(st.integers(0, 40), st.integers(0, 3)).map(lambda p: p[0] << 10 | p[1])
    else:
        rest = st.integers(0, 400)
    return st.tuples(code, rest).map(lambda p: p[0][0] << 31 | p[0][1] << 25 | p[1])


def pico_record(mode):
    channel = st.sampled_from([0, 1, 1, 2, 15])
    if mode == "T3":
        rest = st.tuples(st.integers(0, 40), st.integers(0, 3)).map(lambda p: p[0] << 16 | p[1])
    else:
        rest = st.integers(0, 400)
    return st.tuples(channel, rest).map(lambda p: p[0] << 28 | p[1])


T2_TRIALS = ["sync", {"sync": {"divider": 3}}, {"channel": 2}, {"marker": 2}, "clock"]


@st.composite
def files(draw):
    layout = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))]
    if layout.mode == "T3":
        trial = "sync"
    elif layout.family == "pico":
        trial = draw(st.sampled_from([{"channel": 2}, {"marker": 2}, "clock"]))
    else:
        trial = draw(st.sampled_from(T2_TRIALS))
    record = (hydra_record if layout.family == "hydra" else pico_record)(layout.mode)
    records = draw(st.lists(record, min_size=1, max_size=60))
    if draw(st.booleans()) and layout.mode == "T2":  # in time order, as a real device writes
        mask = 0x1FFFFFF if layout.family == "hydra" else 0xFFFFFF0
        times = np.cumsum([r & 63 for r in records])
        records = [(r & ~mask) | int(t) & mask for r, t in zip(records, times, strict=True)]
    return layout, trial, records, draw(st.integers(1, 30))


@pytest.mark.parametrize("kernel", ["sparse", "bright"])
@settings(max_examples=400)
@given(file=files())
def test_kernel_equals_the_reference_reader(kernel, file):
    layout, trial, records, block = file
    gates = gate_set({"clock": {"t0": 0.0}} if trial == "clock" else trial)
    reference = Reference(layout, gates)
    for record in records:
        reference.read(record)
    source = MemorySource(records, layout, block=block)
    if layout.mode == "T2" and trial != "clock" and reference.trials == 0:
        with pytest.raises(ValueError, match="must hold trial starts"):
            count(source, gates, kernel=kernel)
        return
    check(one_pass(source, gates, kernel), reference)


def begins(events, gates):
    """Tell which T2 tags begin a trial."""
    kind, number = gates.trial.kind, gates.trial.number
    if kind == "marker":
        bits = events.channel.astype(int) - MARKER
        return (bits > 0) & (bits >> (number - 1) & 1 == 1)
    return events.channel == (SYNC if kind == "sync" else number)


def one_pass(source, gates, kernel):
    """Count the records as they stand: tags out of order are not sorted."""
    _, plan = plan_for(source, gates)
    tally = count_stretch(source, plan, (0, source.n_records), kernel, _Progress(0, None))
    return report_counts(source, plan, tally, final=True)


@pytest.mark.parametrize("kernel", ["sparse", "bright"])
@settings(max_examples=200)
@given(file=files())
def test_tags_slightly_out_of_order_are_counted_as_if_in_order(kernel, file):
    layout, trial, records, block = file
    gates = gate_set({"clock": {"t0": 0.0}} if trial == "clock" else trial)
    decoder = Decoder(layout)
    events = decoder.decode(np.array(records, np.uint32))
    if len(events) < 2:
        return
    latest = np.maximum.accumulate(events.time)
    order = np.argsort(events.time, kind="stable")
    dtime = None if events.dtime is None else events.dtime[order]
    ordered = Events(time=events.time[order], dtime=dtime, channel=events.channel[order])
    encoder = Encoder(layout)
    rewritten = [encoder.encode(ordered)]
    if decoder.overflow > encoder.overflow:
        rewritten.append(encoder.finish(decoder.overflow))
    if layout.mode == "T2" and trial != "clock" and not begins(events, gates).any():
        return
    expected = one_pass(MemorySource(np.concatenate(rewritten), layout), gates, kernel)
    found = count(MemorySource(records, layout, block=block), gates, kernel=kernel)
    disordered = [text for text in found.quality.warnings if "order" in text or "precedes" in text]
    photons = events.channel < SYNC if layout.mode == "T3" else np.ones(len(events), bool)
    back = bool((np.diff(events.time[photons]) < 0).any())
    assert bool(disordered) == back
    if back and (latest - events.time).max() <= layout.wrap // 16:
        assert "sorted by time" in disordered[0]
        np.testing.assert_array_equal(found.pairs, expected.pairs)
        np.testing.assert_array_equal(found.singles, expected.singles)


def regular_t2(trials, rng, *, lose=()):
    """T2 records of a TimeHarp 260 N: a sync every period, a few clicks, overflow records."""
    wrap = 33_554_432
    start = np.delete(np.arange(trials) * PERIOD * 1000, lose)
    photons = rng.choice(start, trials // 5) + rng.integers(0, 40, trials // 5)
    time = np.concatenate([start, photons])
    code = np.concatenate([np.full(len(start), 1 << 6, np.int64), rng.integers(0, 2, len(photons))])
    order = np.lexsort((-code, time))
    time, code = time[order], code[order]
    wraps = np.diff(time // wrap, prepend=0)
    records = (code << 25 | time % wrap).astype(np.uint32)
    at = np.flatnonzero(wraps)
    return np.insert(records, at, (0xFE000000 | wraps[at]).astype(np.uint32))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_both_kernels_agree_on_long_regular_files(seed):
    rng = np.random.default_rng(seed)
    records = regular_t2(20_000, rng, lose=[500, 501, 7000])
    gates = GateSet(period=PERIOD * 1000 * TICK, detectors={1: 0, 2: 1}, gates=GATES)
    source = MemorySource(records, LAYOUTS[0x00010205], block=1000)
    bright, sparse = (count(source, gates, kernel=kernel) for kernel in ("bright", "sparse"))
    assert bright == sparse
    assert bright.trials.number == 19_997
    assert bright.quality.missing_syncs == 3


@pytest.mark.parametrize("kernel", ["sparse", "bright"])
@pytest.mark.parametrize("at", [5, 7000])
def test_doubled_syncs_are_reported_with_number_and_first_record(kernel, at):
    records = regular_t2(20_000, np.random.default_rng(1))
    syncs = np.flatnonzero(records >> 25 == 64)[[at, at + 100]]
    noisy = np.insert(records, syncs + 1, records[syncs] + np.uint32(3))
    gates = GateSet(period=PERIOD * 1000 * TICK, detectors={1: 0, 2: 1}, gates=GATES)
    source = MemorySource(noisy, LAYOUTS[0x00010205], block=1000)
    counts = count(source, gates, kernel=kernel)
    assert counts.quality.doubled_syncs == 2
    assert counts.trials.number == 20_002
    (warning,) = (text for text in counts.quality.warnings if "within half a period" in text)
    assert warning.startswith("memory.ptu: 2 trial starts")
    assert f"first is record {syncs[0] + 1:,}," in warning


@pytest.mark.parametrize("record_type", [0x00010205, 0x00010305, 0x00010303])
@pytest.mark.parametrize("parts", [2, 5])
def test_stretches_counted_apart_join_to_the_whole(record_type, parts):
    rng = np.random.default_rng(parts)
    layout = LAYOUTS[record_type]
    if layout.mode == "T2":
        records = np.repeat(regular_t2(3000, rng, lose=[1234]), 2)  # every sync is doubled
        gates = GateSet(period=PERIOD * 1000 * TICK, detectors={1: 0, 2: 1}, gates=GATES)
    else:
        records = rng.integers(0, 4, 6000) | rng.integers(0, 40, 6000) << (
            16 if layout.family == "pico" else 10
        )
        records[::50] = 0xF0000000 if layout.family == "pico" else 0xFE000001
        gates = gate_set("sync")
    source = MemorySource(records, layout, block=100)
    _, plan = plan_for(source, gates)
    stretches = cut(source, plan, parts)
    assert len(stretches) == parts
    whole = Tally.empty(plan)
    for start, stop in stretches:
        part = MemorySource(source.records[start:stop], layout, block=64)
        tally = Tally.empty(plan)
        from analysis.counting.bright import BrightCounter

        counter = BrightCounter(plan, tally)
        for block in part.blocks():
            counter.count(block)
        counter.finish()
        whole.append(tally, plan)
    assert report_counts(source, plan, whole, final=True) == one_pass(source, gates, "bright")


def test_counts_add_like_counting_one_after_the_other():
    rng = np.random.default_rng(5)
    layout = LAYOUTS[0x00010205]
    gates = GateSet(period=PERIOD * 1000 * TICK, detectors={1: 0, 2: 1}, gates=GATES)
    files = [MemorySource(regular_t2(1000, rng), layout) for _ in range(3)]
    apart = [count(file, gates) for file in files]
    assert sum(apart) == count(files, gates)
    assert apart[0] + apart[1] == apart[1] + apart[0]
    assert sum(apart).trials.number == 3000


@pytest.mark.parametrize("other", [1, None, 1.0, object()])
def test_counts_add_to_counts_alone(other):
    source = MemorySource(regular_t2(100, np.random.default_rng(6)), LAYOUTS[0x00010205])
    counts = count(source, GateSet(period=5e-5, detectors={1: 0}, gates=GATES))
    with pytest.raises(TypeError, match="unsupported operand"):
        counts + other
    with pytest.raises(TypeError, match="unsupported operand"):
        other + counts
    assert sum([counts]) is counts


def test_adding_counts_of_other_gates_is_refused():
    rng = np.random.default_rng(6)
    source = MemorySource(regular_t2(100, rng), LAYOUTS[0x00010205])
    one = count(source, GateSet(period=5e-5, detectors={1: 0}, gates=GATES))
    two = count(source, GateSet(period=5e-5, detectors={1: 1}, gates=GATES))
    with pytest.raises(ValueError, match="equal gates"):
        one + two


def test_follow_ends_with_the_counts_of_the_whole_file():
    rng = np.random.default_rng(7)
    source = MemorySource(regular_t2(1000, rng), LAYOUTS[0x00010205], block=50)
    gates = GateSet(period=5e-5, detectors={1: 0, 2: 1}, gates=GATES)
    *steps, last = follow(source.blocks(), source, gates)
    assert last == count(source, gates)
    assert [s.trials.number for s in steps] == sorted(s.trials.number for s in steps)


def test_empty_t3_trials_count_where_overflows_and_header_agree():
    layout = LAYOUTS[0x00010305]
    records = [5 << 10 | 3, 0xFE000000 | 976]  # one click in trial 3, then 976 wraps
    source = MemorySource(records, layout, measured_time=50.0, sync_rate=20_000)
    counts = count(source, gate_set("sync"))
    assert counts.trials.number == 1_000_000
    assert "confirmed" in counts.trials.source
    assert (counts.trials.low, counts.trials.high) == (999_424, 999_424 + 1023)


def test_lost_overflows_show_as_missing_trials():
    layout = LAYOUTS[0x00010305]
    records = [5 << 10 | 3, 0xFE000000 | 900]
    source = MemorySource(records, layout, measured_time=50.0, sync_rate=20_000)
    counts = count(source, gate_set("sync"))
    assert counts.trials.number == 921_600
    assert any("overflow records are lost" in warning for warning in counts.quality.warnings)


def test_gate_beyond_the_t3_range_is_refused_with_the_range():
    gates = GateSet(period=1e-3, detectors={1: 0}, gates=(Gate(name="late", start=0, stop=40e-6),))
    with pytest.raises(ValueError, match=r"memory.ptu: gate 'late' must stop within .* 32768 bins"):
        count(MemorySource([1], LAYOUTS[0x00010305]), gates)


@pytest.mark.parametrize("bins", [32768, 32769])
def test_a_gate_may_end_with_the_t3_range_and_the_period_and_not_after(bins):
    gate = Gate(name="late", start=0.0, stop=bins * TICK)
    gates = GateSet(period=gate.stop, detectors={1: 0}, gates=(gate,))
    source = MemorySource([32767 << 10 | 1], LAYOUTS[0x00010305])
    if bins > 32768:
        with pytest.raises(ValueError, match="must stop within the file's T3 range"):
            count(source, gates)
    else:
        assert count(source, gates).single("late", 1) == 1


def test_a_gate_beyond_the_files_sync_period_is_refused():
    source = MemorySource([1], LAYOUTS[0x00010305], sync_rate=35e6)
    with pytest.raises(ValueError, match=r"gate 'read' must stop within .* sync period of 2.857"):
        count(source, gate_set("sync"))


def test_t3_files_are_cut_at_overflows_and_not_at_markers():
    marker, overflow = 1 << 31 | 1 << 25, 0xFE000001
    records = [2 << 10 | 5, marker | 5, 15 << 10 | 5, marker | 5, overflow, 2 << 10 | 1]
    source = MemorySource(records, LAYOUTS[0x00010305])
    assert cut(*plan_for(source, gate_set("sync")), 3) == [(0, 4), (4, 6)]


def test_the_clock_counts_the_trial_of_the_last_tag():
    source = MemorySource([5, 2 * PERIOD + 3], LAYOUTS[0x00010205])
    assert count(source, gate_set("clock")).trials.number == 3


@pytest.mark.parametrize(("seconds", "exact"), [(0.008, True), (0.8, False)])
def test_the_clock_counts_by_the_measured_time_if_the_records_reach_it(tmp_path, seconds, exact):
    layout, tick = LAYOUTS[0x00010205], 250e-12  # a wrap is 8.4 ms
    period = round(PERIOD * TICK / tick)
    times = np.array([5, 2 * period + 3])
    events = Events(time=times, dtime=None, channel=np.zeros(2, np.uint8))
    path = tmp_path / "a.ptu"
    write_ptu(path, events, layout=layout, resolution=tick, acquisition_time=seconds)
    trials = count(path, gate_set("clock")).trials
    claimed = round(seconds / (PERIOD * TICK))
    if exact:
        assert trials.low == trials.high == trials.number == claimed
        assert trials.source == "measured time / period"
    else:
        assert trials.low == trials.number == 3
        assert trials.high >= claimed


def test_channel_the_layout_lacks_is_refused():
    gates = GateSet(period=5e-5, detectors={1: 20}, gates=GATES)
    with pytest.raises(ValueError, match="detector 1 must be on a channel from 0 to 14"):
        count(MemorySource([1], LAYOUTS[0x00010303]), gates)


def test_file_without_records_is_refused():
    with pytest.raises(TagFileError, match="holds no records"):
        count(MemorySource([], LAYOUTS[0x00010305]), gate_set("sync"))


def test_silent_detector_is_reported():
    source = MemorySource([0x80000000, 5], LAYOUTS[0x00010205])
    counts = count(source, gate_set("sync"))
    assert any("detector 2 (channel 1) has no click" in text for text in counts.quality.warnings)


def test_arrival_histogram_of_a_gate_holds_its_clicks():
    rng = np.random.default_rng(8)
    source = MemorySource(regular_t2(2000, rng), LAYOUTS[0x00010205])
    counts = count(source, GateSet(period=5e-5, detectors={1: 0, 2: 1}, gates=GATES))
    edges, clicks = counts.arrivals("read")
    assert edges[0] == pytest.approx(15e-9)
    assert edges[-1] == pytest.approx(31e-9)
    assert clicks.sum(axis=1).tolist() == (counts.singles + counts.repeated)[1].tolist()


def test_counts_survive_json_and_name_their_axes_in_xarray():
    rng = np.random.default_rng(9)
    source = MemorySource(regular_t2(2000, rng), LAYOUTS[0x00010205])
    counts = count(source, GateSet(period=5e-5, detectors={1: 0, 2: 1}, gates=GATES))
    assert Counts.from_dict(counts.to_dict()) == counts
    data = counts.to_xarray()
    assert int(data.singles.sel(gate="read", detector=2)) == counts.single("read", 2)
    pair = data.coincidences.sel(gate="pump", detector=1, other_gate="read", other_detector=2)
    assert int(pair) == counts.coincidence(("pump", 1), ("read", 2))


def test_g2_of_pairs_is_that_of_the_evaluation():
    rng = np.random.default_rng(9)
    source = MemorySource(regular_t2(2000, rng), LAYOUTS[0x00010205])
    counts = count(source, GateSet(period=5e-5, detectors={1: 0, 2: 1}, gates=GATES))
    assert g2_of_pairs(counts) == dict(evaluate(counts).g2) != {}


@pytest.mark.parametrize(("gated", "wanted"), [(0.9, True), (0.01, False)])
def test_the_compiled_kernel_is_loaded_where_it_pays(tmp_path, monkeypatch, gated, wanted):
    """By gated clicks: 20,000 of them in the file stand for the million of `GATED_FROM`."""
    module = import_module("analysis.counting.count")
    monkeypatch.setattr(module, "GATED_FROM", 20_000)
    rng, n = np.random.default_rng(4), 40_000
    inside = rng.random(n) < gated
    events = Events(
        time=np.sort(rng.integers(0, 10**6, n)),
        dtime=np.where(inside, 10, 900).astype(np.int32),
        channel=np.zeros(n, np.uint8),
    )
    path = tmp_path / "a.ptu"
    write_ptu(path, events, sync_rate=20e3)
    gates = GateSet(period=50e-6, detectors={1: 0}, gates=(Gate(name="a", start=0.0, stop=1e-8),))
    assert module.is_bright(*plan_for(open_tags(path), gates)) is wanted
