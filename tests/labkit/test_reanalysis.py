"""Many runs analysed again: each as `labkit analyse` does, here or on workers."""

import json

import pytest

from analysis.counting import count
from labkit.cli import run as command
from labkit.reanalysis import reanalyse, row_of
from simulation.recordings.pulses import pulsed_timing


@pytest.fixture
def runs(make_run):
    found = [make_run() for _ in range(3)]
    for number, each in enumerate(found, 1):
        for _ in range(number):
            each.add()
        each.end("done")
    return [each.folder.path for each in found]


def test_a_row_holds_what_analyse_says_of_that_run(runs, capsys):
    assert command(["runs", "analyse", *map(str, runs), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["runs"]
    assert [row["run"] for row in rows] == [str(run) for run in runs]
    for run, row in zip(runs, rows, strict=True):
        assert command(["analyse", str(run), "--json"]) == 0
        alone = json.loads(capsys.readouterr().out)
        del alone["diagnosis"]
        assert row["evaluation"] == alone
        assert row["problem"] is None


def test_patterns_name_runs_and_the_table_shows_then_and_now(runs, capsys):
    result = {"verdict": {"decision": "undecided", "R": {"value": 1.5, "low": 1.0, "high": None}}}
    (runs[0] / "result.json").write_text(json.dumps(result))
    assert command(["runs", "analyse", str(runs[0].parent / "*_witness*")]) == 0
    out = capsys.readouterr().out
    assert all(run.name in out for run in runs)
    row = row_of(runs[0])
    assert (row.witness_then, row.decision_then) == ("1.500 [1.000, inf]", "undecided")
    assert row.trials == 60_000_000


def test_a_run_that_cannot_be_read_hides_no_other(runs, capsys):
    segment = runs[1] / "tags" / "block_000001.ptu"
    segment.unlink()
    (runs[0] / "result.json").write_text("{")
    empty = runs[0].parent / "empty"
    empty.mkdir()
    assert command(["runs", "analyse", *map(str, [*runs, empty]), "--json"]) == 1
    rows = json.loads(capsys.readouterr().out)["runs"]
    assert [row["evaluation"] is None for row in rows] == [False, True, False, True]
    assert "block_000001.ptu" in rows[1]["problem"]
    assert "manifest" in rows[3]["problem"]
    assert "result.json" in rows[0]["problem"]
    assert command(["runs", "analyse", str(runs[1])]) == 1
    said = capsys.readouterr()
    assert "unreadable" in said.out
    assert "block_000001.ptu" in said.err


def test_other_gates_are_counted_and_certify_nothing(runs, tmp_path, capsys):
    gates = pulsed_timing(delay=130e-9).gates
    (tmp_path / "g.yaml").write_text(gates.to_yaml())
    assert (
        command(["runs", "analyse", str(runs[0]), "--gates", str(tmp_path / "g.yaml"), "--json"])
        == 0
    )
    (row,) = json.loads(capsys.readouterr().out)["runs"]
    expected = count(runs[0] / "tags" / "block_000001.ptu", gates)
    assert row["evaluation"]["singles"]["read"]["1"] == expected.single("read", 1)
    assert "gates" in str(row["evaluation"]["verdict"]["conditions"])
    assert reanalyse(runs[0], gates).evaluation.counts == expected


@pytest.mark.long
def test_workers_say_the_same(runs, capsys, monkeypatch):
    monkeypatch.chdir(runs[0].parent)
    line = ["runs", "analyse", *(run.name for run in runs), "--json"]
    assert command(line) == 0
    here = capsys.readouterr().out
    assert command([*line, "--workers", "2"]) == 0
    assert capsys.readouterr().out == here
    alone = ["analyse", runs[2].name, "--json"]
    assert command(alone) == 0
    here = capsys.readouterr().out
    assert command([*alone, "--workers", "2", "--keep", "kept"]) == 0
    assert capsys.readouterr().out == here
    assert len(list((runs[0].parent / "kept").iterdir())) == 3
