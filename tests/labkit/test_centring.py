"""All filters centred at once: a factorial design tells every filter's part from the others'."""

from types import SimpleNamespace

import numpy as np
import pytest

from labkit.experiment import read_experiment
from labkit.procedures import phase_sweep, repair
from labkit.procedures.balance import BalanceOptions, _both_arms
from labkit.procedures.centring import SIGNS, LostLineError, centre
from labkit.procedures.filters import seen_apart
from labkit.run.parts import Part

SEQUENCE = read_experiment("autopilot").sequence
PLACES = ("pump", "read", "1a", "1b", "2a", "2b")
WIDTH = 0.033
LINE = dict(zip(PLACES, (7.43, 3.07, 5.1, 4.7, 5.6, 5.3), strict=True))


class Filter:
    """A voltage, and the light that passes a line of full width 33 mV at `line`."""

    def __init__(self, line, offset):
        self.line, self.volts, self.moves = line, line + offset, 0

    def voltage(self, volts=None):
        if volts is None:
            return self.volts
        self.volts, self.moves = volts, self.moves + 1
        return None

    def passed(self, light=0.0):
        return 1 / (1 + (2 * (self.volts - self.line - light) / WIDTH) ** 2)


class Bench:
    """Takes the place of a session: clicks follow the product of the transmissions."""

    def __init__(self, offsets, *, rate=1e-2, rng=None, spread=0.0):
        self.light = spread * np.linspace(-3, 3, 61)  # V, where the light before detectors is
        self.weight = np.exp(-(np.linspace(-3, 3, 61) ** 2) / 2)
        filters = {p: Filter(LINE[p], o) for p, o in zip(PLACES, offsets, strict=True)}
        self.lab = SimpleNamespace(filters=filters)
        self.line_widths = dict.fromkeys(PLACES, WIDTH)
        self.rate, self.rng, self.said, self.blocks = rate, rng, [], []

    def scan(self, sequence, trials, settings, move, about, *, name, what):
        parts = []
        for setting in settings:
            move(setting)
            singles = self.clicks(sequence, trials, {**about, **setting})
            parts.append(Part(dict(setting), 0, trials, singles.tolist()))
        return parts

    def clicks(self, sequence, trials, setting):
        every = self.lab.filters
        passed = {gate: every[gate].passed() for gate in ("pump", "read")}
        both = [
            np.average(
                every[f"{d}a"].passed(self.light) * every[f"{d}b"].passed(self.light),
                weights=self.weight,
            )
            for d in (1, 2)
        ]
        expected = np.outer([passed["pump"], passed["read"]], both)
        expected[1] *= 1 + passed["pump"]  # the pump heats what the read sees
        mean = expected * self.rate * trials
        self.blocks.append(setting)
        return np.rint(mean).astype(int) if self.rng is None else self.rng.poisson(mean)

    def say(self, text):
        self.said.append(text)

    def tuned(self, widths=None):
        self.line_widths |= widths or {}

    def away(self):
        return {place: one.volts - one.line for place, one in self.lab.filters.items()}


def test_every_filter_stands_as_often_on_either_side_of_all_others():
    assert np.all(SIGNS.sum(axis=0) == 0)
    np.testing.assert_array_equal(SIGNS.T @ SIGNS, 8 * np.eye(7, dtype=int))


def test_filters_before_different_detectors_move_together_and_those_behind_lasers_alone():
    groups = seen_apart(PLACES, ("pump", "read"))
    assert groups == [("pump",), ("read",), ("1a", "2a"), ("1b", "2b")]
    assert seen_apart(("1a", "2b"), ("pump", "read")) == [("1a", "2b")]


def test_filters_up_to_a_third_of_a_width_away_are_brought_back_in_eight_settings():
    """Without noise: to 1 % of a width, and the pump's heat does not look like the read's."""
    bench = Bench([0.004, -0.010, 0.008, -0.006, 0.0, 0.011], rate=1.0)
    found = centre(bench, SEQUENCE, trials=10_000_000)
    assert len(bench.blocks) == 8
    assert max(map(abs, bench.away().values())) < 0.01 * WIDTH
    assert found["read"].value == pytest.approx(0.010, abs=2e-5)


def test_filters_in_series_follow_light_that_is_not_narrow_instead_of_each_other():
    """Light of 12 mV rms, whose lines are 44 mV wide in a scan; four fifths of 6 mV at once."""
    bench = Bench([0.0, 0.0, 0.006, 0.006, 0.006, -0.006], rate=1.0, spread=0.012)
    bench.line_widths |= dict.fromkeys(PLACES[2:], 0.0444)
    centre(bench, SEQUENCE, trials=10_000_000)
    assert max(map(abs, bench.away().values())) < 0.0012


def test_offsets_scatter_by_their_standard_deviations():
    """300 centrings at the paper's clicks: pulls of 6 filters have variance 1 within 4 σ."""
    rng = np.random.default_rng(3)
    pulls = []
    for _ in range(300):
        offsets = rng.uniform(-0.004, 0.004, 6)
        bench = Bench(offsets, rate=2.5e-4, rng=rng)
        found = centre(bench, SEQUENCE)
        pulls.append(
            [
                (one.value + o) / one.sigma
                for one, o in zip(found.values(), offsets[[0, 1, 2, 4, 3, 5]], strict=True)
            ]
        )
    pulls = np.array(pulls)
    assert np.all(np.abs(pulls.mean(axis=0)) < 4 / np.sqrt(300))
    assert np.all(np.abs(pulls.var(axis=0) - 1) < 4 * np.sqrt(2 / 300))


def test_a_line_that_is_lost_leaves_all_filters_where_they_were():
    bench = Bench([0.0, 0.0, 0.021, 0.0, 0.0, 0.0], rate=1.0)
    before = bench.away()
    with pytest.raises(LostLineError, match=r"filter 1a must be within 0\.4 widths of its line"):
        centre(bench, SEQUENCE, trials=1_000_000)
    assert bench.away() == before
    with pytest.raises(LostLineError, match="filter pump must pass 20 clicks"):
        centre(Bench([0.0] * 6, rate=1e-8), SEQUENCE)


def test_lines_that_are_lost_or_not_known_are_scanned(monkeypatch):
    scans = []
    monkeypatch.setattr(repair, "filters", lambda *given: scans.append(given))
    bench = Bench([0.0] * 6, rate=1.0)
    bench.line_widths = {}
    repair.tune(bench, SEQUENCE)
    assert len(scans) == 1
    assert bench.said == ["filter pump must be scanned before it can be centred; scanning"]
    assert not bench.blocks


@pytest.mark.parametrize(
    ("untuned", "trials", "due"),
    [(5300.0, 10**7, True), (5100.0, 10**7, False), (3000.0, 10**8, True), (0.0, 10**8, False)],
)
def test_filters_are_tuned_where_the_middle_of_the_coming_block_is_too_late(
    monkeypatch, untuned, trials, due
):
    """90 minutes; 10⁷ trials take 500 s, the 10⁸ of a point of a phase sweep 5000 s."""
    monkeypatch.setattr(repair, "tune", lambda *_: None)
    assert repair.tune_if_due(SimpleNamespace(untuned=untuned), SEQUENCE, trials) is due


def test_a_long_balance_tunes_the_filters_in_between(monkeypatch):
    """A round takes 4000 s: after two, the middle of the next two would be 12 000 s later."""
    tuned = []
    session = SimpleNamespace(untuned=0.0, steps=lambda _, items: iter(items))

    def alone(session, *_):
        session.untuned += 2000.0
        return 1_000

    def tune(session, sequence):
        tuned.append(sequence)
        session.untuned = 0.0

    monkeypatch.setattr("labkit.procedures.balance._alone", alone)
    monkeypatch.setattr(repair, "tune", tune)
    options = BalanceOptions(trials=40_000_000 * 6, rounds=6)
    step, enough = _both_arms(
        session, (SEQUENCE, SEQUENCE.without_pulse("read")), options, {"A": 1.0, "B": 1.0}, []
    )
    assert (step.a, step.b) == (6_000, 6_000)
    assert not enough
    assert tuned == [SEQUENCE] * 2  # both gates' light tells where the lines are


def test_a_block_that_is_taken_once_more_is_no_later_after_the_tuning(monkeypatch):
    """A point of 5000 s that lost its lock: tuned again, not measured until 10 000 s."""
    done, blocks = [], [SimpleNamespace(good=False, reason="no lock"), SimpleNamespace(good=True)]
    session = SimpleNamespace(
        earlier=lambda *_: None, say=lambda _: None,
        measure=lambda *_: done.append("measure") or blocks.pop(0),
    )  # fmt: skip
    monkeypatch.setattr(phase_sweep, "upkeep", lambda *given: done.append(given[-1]))
    monkeypatch.setattr(phase_sweep, "repair", lambda *_: done.append("repair"))
    assert phase_sweep.good_block(session, SEQUENCE, 10**8, {}, "here").good
    assert done == [10**8, "measure", "repair", 10**8, "measure"]
