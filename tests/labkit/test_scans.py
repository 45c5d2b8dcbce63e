"""A scan is one recording and one block: its parts, how they are timed, kept, and found again."""

from dataclasses import replace
from time import sleep

import numpy as np
import pytest

from analysis.counting import count
from analysis.gates import GateSet
from analysis.questions.segments import count_between
from analysis.questions.stretches import clicks_between
from labkit.experiment import open_session, read_experiment
from labkit.procedures.centring import centre
from labkit.procedures.filters import FilterOptions, filters
from labkit.procedures.moves import SETTLING, Moves
from labkit.procedures.session import Session
from labkit.procedures.switch_on import SwitchOnOptions, switch_on
from labkit.run import check_run, recover_run
from labkit.run.lines import framed, read_lines
from labkit.run.parts import Part, Span, parts_of
from labkit.run.progress import Watcher
from labkit.run.record import read_record
from labkit.station.config import station_path
from simulation.lab.recorder import Recorder
from simulation.recordings.ptu import simulate_ptu
from simulation.theory.dlcz import riedinger2018

SEQUENCE = read_experiment("autopilot").sequence
OPTIONS = FilterOptions(points=9, trials=200_000, passes=1, only=("pump",))


class Written:
    def __init__(self):
        self.spans = []

    def part(self, span):
        self.spans.append(span)


def looked(moves, times, *, slow=0.0):
    """What is noted if somebody looks at these times; what moves takes `slow` seconds."""
    writer, now = Written(), [0.0]
    moves.elapsed = lambda: now[0] + slow
    look = moves.between(lambda seconds: seconds + 60.0, writer)
    wanted = []
    for time in times:
        now[0] = time
        wanted.append(look(time))
    return writer, wanted


def settings(number):
    return [{"voltage_1a": float(n)} for n in range(number)]


def test_each_setting_has_its_time_and_what_moves_belongs_to_none():
    moved = []
    moves = Moves(settings=settings(3), move=moved.append, seconds=10.0, elapsed=lambda: 0.0)
    writer, wanted = looked(moves, [10.0, 20.0], slow=0.5)
    moves.finish(30.0, writer)
    assert moves.total == 30.0
    assert wanted == [20.0, 80.0]  # of the last setting only the lab's own look
    assert moved == settings(3)[1:]
    assert writer.spans == [
        Span(settings(3)[0], SETTLING, 10.0),
        Span(settings(3)[1], 10.5 + SETTLING, 20.0),
        Span(settings(3)[2], 20.5 + SETTLING, 30.0),
    ]


def test_who_looks_late_shortens_the_settings_after_to_half_and_no_further():
    moves = Moves(settings=settings(4), move=lambda _: None, seconds=10.0, elapsed=lambda: 0.0)
    writer, wanted = looked(moves, [5.0, 18.0, 22.0, 24.0, 30.0])
    assert wanted == [10.0, 18.0 + SETTLING + 5.0, 23.2, 30.0, 90.0]
    assert [(span.begin, span.end) for span in writer.spans] == [
        (SETTLING, 18.0), (18.0 + SETTLING, 24.0), (24.0 + SETTLING, 30.0),
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["T3", "T2"])
def test_clicks_of_parts_are_those_of_their_trials(tmp_path, mode):
    """Against counts of the same stretches of time; of all of it, of one trial, and of none."""
    path = tmp_path / "x.ptu"
    simulate_ptu(path, riedinger2018(), 300_000, seed=4, mode=mode)
    gates = GateSet.from_yaml(path.with_suffix(".gates.yaml"))
    trials = [(0, 300_000), (1_000, 200_000), (70_000, 70_001), (5, 5), (250_000, 300_000)]
    found = clicks_between(path, gates, trials)
    for clicks, (first, end) in zip(found, trials, strict=True):
        if end == first:
            assert not clicks.any()
            continue
        start, stop = (max(n - 0.5, 0.0) * gates.period for n in (first, end))
        assert np.array_equal(clicks, count_between(path, gates, start, stop).singles)
    assert found[0].sum() > found[1].sum() > 100


def test_a_trial_belongs_to_a_part_if_all_of_it_does(tmp_path):
    path = tmp_path / "x.ptu"
    simulate_ptu(path, riedinger2018(), 100_000, seed=4)
    counts = count(path)
    period = counts.gates.period
    spans = [
        Span({"v": 1.0}, 10.5 * period, 20_000.5 * period),
        Span({"v": 2.0}, 20_001 * period, 1e9),
        Span({"v": 3.0}, 2e9, 3e9),
    ]
    found = parts_of(path, counts, spans)
    assert [(part.first, part.end) for part in found] == [
        (11, 20_000), (20_001, counts.trials.number), (counts.trials.number,) * 2,
    ]  # fmt: skip
    assert found[2].trials == 0
    assert not found[2].singles.any()
    assert parts_of(path, counts, []) is None


@pytest.fixture
def session(tmp_path):
    with open_session("virtual", tmp_path, SEQUENCE, watcher=Watcher()) as session:
        switch_on(session, SEQUENCE, SwitchOnOptions())
        yield session


def test_a_scan_is_one_block_of_the_journal_and_one_segment(session):
    """Nine settings of 10 s; each has its trials but for what moves and the looks every 60 s."""
    scan = filters(session, SEQUENCE, OPTIONS).scans["pump"]
    (block,) = session.folder.journal.read()
    assert block.good
    assert block.setting == {"procedure": "filters", "filter": "pump"}
    assert block.trials == 9 * (OPTIONS.trials + SETTLING / SEQUENCE.period)
    assert block.parts == session.blocks[0].parts
    volts = [part.setting["voltage_pump"] for part in block.parts]
    np.testing.assert_allclose(volts, scan.volts)
    assert all(0.6 * OPTIONS.trials < part.trials <= 1.4 * OPTIONS.trials for part in block.parts)
    assert all(
        before.end + SETTLING / SEQUENCE.period <= after.first
        for before, after in zip(block.parts, block.parts[1:], strict=False)
    )
    spans = read_record(session.folder.record_path(1)).spans
    assert [span.setting for span in spans] == [part.setting for part in block.parts]
    for part in block.parts:
        start, stop = ((n - 0.5) * SEQUENCE.period for n in (part.first, part.end))
        again = count_between(session.folder.path / block.segment, block.gates, start, stop)
        assert np.array_equal(again.singles, part.singles)
    assert scan.clicks.argmax() == np.abs(scan.volts - scan.fit.centre.value).argmin()


def test_parts_are_compared_with_their_segment(session):
    filters(session, SEQUENCE, OPTIONS)
    folder = session.folder
    assert not check_run(folder).differences
    lines = [line.plain for line in read_lines(folder.journal.path)]
    (block,) = (plain for plain in lines if plain["kind"] == "block")
    block["parts"][3][3][0][0] += 1
    folder.journal.path.write_text("".join(map(framed, lines)))
    assert check_run(folder).differences == {
        "tags/block_000001.ptu": "parts differ from the journal"
    }


def test_parts_are_compared_with_the_record(session):
    """Which the journal's own lines cannot tell: that all are there, and what they are of."""
    filters(session, SEQUENCE, OPTIONS)
    folder = session.folder
    (block,) = folder.journal.read()
    turned = [block.parts[0]._replace(setting={"voltage_pump": 1.0}), *block.parts[1:]]
    for parts in (None, [], block.parts[1:], block.parts[::-1], turned):
        folder.journal.append(replace(block, parts=parts))
        assert check_run(folder).differences == {
            "tags/block_000001.ptu": "parts differ from the journal"
        }
    folder.journal.append(block)
    assert not check_run(folder).differences


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, "x"), (0, {"v": "5 V"}), (1, None), (1, -1), (2, 10**30), (2, 0), (3, 7), (3, [[1, 2]]),
     (3, [[1, 2], [3, "4"]]), (3, [[1, 2], [3, -4]])],
)  # fmt: skip
def test_a_damaged_part_is_told(tmp_path, place, value):
    gates = SEQUENCE.gates
    plain = [{"voltage_pump": 5.0}, 10, 20, [[1, 2], [3, 4]]]
    assert Part.from_plain(plain, gates) == Part(*plain)
    plain[place] = value
    with pytest.raises(ValueError, match=r"a part must be \[setting, first, end, clicks"):
        Part.from_plain(plain, gates)
    with pytest.raises(ValueError, match="a part must be"):
        Part.from_plain(plain[:3], gates)


@pytest.mark.parametrize("mode", ["T3", "T2"])
def test_a_part_without_a_trial_has_no_clicks(tmp_path, mode):
    """The trigger was off in the middle: the block will not count, but must be journaled."""
    path = tmp_path / "x.ptu"
    simulate_ptu(path, riedinger2018(), 50_000, seed=4, mode=mode)
    gates = GateSet.from_yaml(path.with_suffix(".gates.yaml"))
    found = clicks_between(path, gates, [(0, 40_000), (60_000, 70_000), (80_000, 90_000)])
    assert found[0].sum() > 10
    assert not found[1:].any()


def test_trials_that_may_be_later_than_their_number_says_belong_to_no_part(tmp_path):
    path = tmp_path / "x.ptu"
    simulate_ptu(path, riedinger2018(), 100_000, seed=4)
    counts = count(path)
    lacking = replace(counts, quality=replace(counts.quality, missing_syncs=7))
    (part,) = parts_of(path, lacking, [Span({"v": 1.0}, 0.0, 1000 * counts.gates.period)])
    assert (part.first, part.end) == (0, 993)


@pytest.mark.parametrize("error", [ValueError("beyond its range"), OSError("no answer")])
def test_a_filter_that_cannot_be_moved_leaves_a_bad_block_and_the_run_can_go_on(
    session, monkeypatch, error
):
    device, moved = session.lab.filters["pump"], []
    put = device.voltage.set

    def refuse_the_fourth(volts):
        moved.append(volts)
        if len(moved) == 4:
            raise error
        put(volts)

    scan = [{"voltage_pump": 7.4 + 0.01 * n} for n in range(6)]
    with pytest.raises(type(error), match=str(error)):
        session.scan(
            SEQUENCE, 100_000, scan, lambda setting: refuse_the_fourth(setting["voltage_pump"]),
            {"procedure": "filters", "filter": "pump"}, name="filters",
        )  # fmt: skip
    (block,) = session.folder.journal.read()
    assert not block.good
    assert f"what was to move while it was recorded did not: {error}" in block.reason
    assert len(block.parts) == 3
    assert session.clicks(SEQUENCE, 100_000, {"procedure": "test"}).trials.number == 100_000


@pytest.mark.parametrize("trials", [2_000, 20_000])
def test_short_settings_have_their_trials_too(session, trials):
    found = session.scan(
        SEQUENCE, trials, [{"voltage_pump": 7.4 + 0.001 * n} for n in range(3)],
        lambda setting: session.lab.filters["pump"].voltage(setting["voltage_pump"]),
        {"procedure": "filters", "filter": "pump"}, name="filters",
    )  # fmt: skip
    assert all(0.45 * trials <= part.trials <= 2 * trials for part in found)


def test_a_scan_whose_line_was_lost_is_recovered_with_its_parts(session):
    filters(session, SEQUENCE, OPTIONS)
    (before,) = session.folder.journal.read()
    session.folder.journal.path.write_bytes(b"")
    (after,) = recover_run(session.folder, mend=True).blocks
    assert after.good
    assert after.parts == before.parts


def test_a_tagger_that_does_not_tell_the_time_is_asked_for_one_setting_at_a_time(
    session, monkeypatch
):
    tagger = session.lab.tagger
    elapsed = tagger.elapsed
    monkeypatch.setattr(tagger, "elapsed", lambda: elapsed() if tagger.wait(0.0) else 0.0)
    filters(session, SEQUENCE, OPTIONS)
    assert [len(block.parts) for block in session.blocks] == [1] * 9
    volts = [block.parts[0].setting["voltage_pump"] for block in session.blocks]
    assert np.all(np.diff(volts) > 0)


def test_a_spoilt_scan_is_taken_again_from_its_first_setting(session, monkeypatch):
    judged = []
    measure = Session.measure

    def spoilt_once(*given, **named):
        block = measure(*given, **named)
        judged.append(replace(block, good=bool(judged), reason="spoilt"))
        return judged[-1]

    monkeypatch.setattr(Session, "measure", spoilt_once)
    found = filters(session, SEQUENCE, OPTIONS).scans["pump"]
    first, second = ([part.setting for part in block.parts] for block in judged)
    assert first == second
    assert found.clicks.tolist() == [part.singles[0].sum() for part in judged[1].parts]


class Impatient(Watcher):
    """Presses Ctrl-C once the fourth setting is reached."""

    def step(self, steps):
        if steps and steps[-1].procedure == "filter pump" and steps[-1].number == 4:
            raise KeyboardInterrupt


def test_a_scan_that_the_user_stops_is_a_shorter_block_with_the_settings_it_had(session):
    session.watcher = Impatient()
    with pytest.raises(KeyboardInterrupt):
        filters(session, SEQUENCE, OPTIONS)
    (block,) = session.folder.journal.read()
    assert block.reason == "stopped by the user"
    assert len(block.parts) == 3
    assert not session.lab.pump_laser.emission()


@pytest.mark.parametrize("kind", ["T2", "bright"])
def test_the_same_seed_gives_the_same_scan_whoever_reads_how_fast(tmp_path, monkeypatch, kind):
    """Where time passes in steps of seconds, between which whoever watches finds it anywhere."""
    text = station_path("virtual").read_text(encoding="utf-8")
    glaring = "options: {seed: 1, parameters: {detector_dark_hz: 15000.0}}"
    change = ("mode: T3", "mode: T2") if kind == "T2" else ("options: {seed: 1}", glaring)
    assert change[0] in text
    text = text.replace(*change)
    (tmp_path / "lab.yaml").write_text(text, encoding="utf-8")
    wait, found = Recorder._wait_for_data, []
    for pause in (0.0, 0.02):
        monkeypatch.setattr(
            Recorder, "_wait_for_data", lambda self, pause=pause: sleep(pause) or wait(self)
        )
        with open_session(tmp_path / "lab.yaml", tmp_path, SEQUENCE, watcher=Watcher()) as session:
            switch_on(session, SEQUENCE, SwitchOnOptions())
            session.line_widths |= dict.fromkeys(session.lab.filters, 0.033)
            centre(session, SEQUENCE, trials=400_000)
            found.append([block.parts for block in session.blocks])
    assert found[0] == found[1]
