"""A recorded run played again: the same blocks and events, in order, and no measurement."""

import os

import pytest

from labkit.run import check_run, list_runs, open_run
from labkit.run.events import EventLog
from labkit.run.progress import Watcher
from labkit.run.replay import replay_run


@pytest.fixture
def recorded_run(make_run):
    run = make_run()
    EventLog(Watcher(), run.folder.path).say("working point set")
    for _ in range(3):
        run.add()
    run.add(good=False, reason="not locked")
    run.end("done")
    return run


def test_replay_shows_what_was_recorded_at_another_pace(recorded_run, tmp_path):
    waited, seen = [], []
    out = tmp_path / "shown"

    def pause(seconds):
        waited.append(seconds)
        seen.append(len(list_runs(out)[0].journal.read()))

    played = replay_run(recorded_run.folder, out, speed=50.0, pause=pause)
    before, after = (folder.journal.read() for folder in (recorded_run.folder, played))
    assert [(b.number, b.good, b.reason, b.started) for b in after] == [
        (b.number, b.good, b.reason, b.started) for b in before
    ]
    assert all(a.counts == b.counts for a, b in zip(after, before, strict=True))
    assert max(seen) >= 3, "blocks come one after another"
    assert sorted({round(s, 6) for s in waited if 0 < s < 10}) == [2.0]
    assert (played.path / "events.jsonl").read_text() == (
        recorded_run.folder.path / "events.jsonl"
    ).read_text()
    assert not check_run(played).differences
    assert played.manifest().status == "done"


def test_replay_is_no_measurement(recorded_run, tmp_path, labkit):
    played = replay_run(recorded_run.folder, tmp_path / "shown", pause=lambda _: None)
    manifest = played.manifest()
    assert manifest.replay_of == recorded_run.folder.path.name
    assert "no measurement" in str(manifest)
    with pytest.raises(ValueError, match="is a replay, no measurement; use the run it shows"):
        played.main_blocks()
    for command in (["plan", played.path], ["analyse", played.path]):
        code, _, error = labkit(*command)
        assert code == 1
        assert "is a replay, no measurement" in error
    with pytest.raises(ValueError, match="is a replay"):
        replay_run(played, tmp_path / "again", pause=lambda _: None)
    assert played.summary()["replay_of"] == manifest.replay_of


def test_command_plays_and_names_the_folder(recorded_run, tmp_path, labkit):
    out = tmp_path / "shown"
    code, _, error = labkit("replay", recorded_run.folder.path, "--speed", "1e9", "--out", out)
    assert code == 0
    (played,) = list_runs(out)
    assert str(played.path) in error
    assert len(open_run(played.path).journal.read()) == 4
    code, _, error = labkit("replay", recorded_run.folder.path, "--speed", "0", "--out", out)
    assert code == 1
    assert "`speed` must be above 0" in error


def test_segments_are_copied_where_links_are_not_possible(recorded_run, tmp_path, monkeypatch):
    def no_link(*_):
        raise OSError

    monkeypatch.setattr(os, "link", no_link)
    played = replay_run(recorded_run.folder, tmp_path / "shown", pause=lambda _: None)
    first = played.journal.read()[0]
    assert (played.path / first.segment).read_bytes() == (
        recorded_run.folder.path / first.segment
    ).read_bytes()
