"""How long procedures take: by earlier runs of the same station, or by a stated rule."""

import json
from dataclasses import replace

import pytest

from labkit.run.durations import Past, expected_duration, past_runs

SWEEP = {"sequence": "a", "options": {"points": 9}}


def past(seconds, measured=100.0, kind="phase_sweep", experiment=SWEEP):
    return Past(kind=kind, experiment=experiment, seconds=seconds, measured=measured)


def test_runs_with_the_same_options_decide():
    runs = [past(10.0), past(12.0), past(20.0), past(500.0, experiment={"options": {}})]
    found = expected_duration(runs, "phase_sweep", SWEEP, 100.0)
    assert (found.seconds, found.low, found.high, found.runs) == (12.0, 10.0, 20.0, 3)
    assert str(found) == "12 s (3 earlier runs, same options, 10 s to 20 s)"


def test_other_options_count_by_the_second_of_measuring():
    runs = [past(120.0, measured=100.0), past(130.0, measured=100.0)]
    other = {"sequence": "a", "options": {"points": 18}}
    found = expected_duration(runs, "phase_sweep", other, 200.0)
    assert found.seconds == pytest.approx(250.0)
    assert found.ground == "other options"
    assert expected_duration(runs, "phase_sweep", other).seconds == 125.0


def test_without_earlier_runs_the_overhead_of_the_paper_is_told():
    found = expected_duration([past(1.0, kind="g2")], "witness", {}, 55_700.0)
    assert found.seconds == pytest.approx(1.15 * 55_700)
    assert "no earlier run of this kind" in str(found)
    assert "not known" in str(expected_duration([], "balance", {}))


def test_only_whole_runs_of_the_station_teach(make_run):
    run = make_run()
    run.add()
    assert past_runs([run.folder]) == []
    run.end("done")
    (one,) = past_runs([run.folder], "")
    assert one.measured == pytest.approx(60_000_000 * 50e-6)
    assert past_runs([run.folder], "another station") == []
    manifest = run.folder.manifest()
    for change in ({"status": "failed"}, {"sessions": 2}, {"replay_of": "x"}):
        run.folder.write_manifest(replace(manifest, **change))
        assert past_runs([run.folder]) == []


def test_command_tells_every_experiment(tmp_path, labkit):
    code, out, _ = labkit("runs", "times", "--out", tmp_path, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["phase_sweep"]["seconds"] == pytest.approx(1.15 * 9 * 1e8 * 50e-6)
    assert found["witness"]["seconds"] == pytest.approx(1.15 * 4e8 * 50e-6)
    assert found["switch_on"]["seconds"] is None
    code, out, _ = labkit("runs", "times", "witness", "--out", tmp_path)
    assert "measuring and 15 %" in out
