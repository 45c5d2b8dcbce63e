"""What a newcomer types first: help, version, completion, names that do not exist, pipes."""

import ctypes
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from shutil import disk_usage
from time import time

import pytest

from analysis.published import RIEDINGER_2018
from labkit import __version__, witness
from labkit.cli import doctor
from labkit.experiment import read_experiment
from labkit.report.tables import ResultTable
from labkit.run import create_run
from labkit.run.manifest import write_manifest
from labkit.station.config import read_station_file
from simulation.recordings.pulses import pulsed_timing

GATES = pulsed_timing().gates
SCRIPT = "import sys; from labkit.cli import main; sys.argv[0] = 'labkit'; main()"


def test_version_is_printed(labkit):
    assert labkit("--version") == (0, f"labkit {__version__}\n", "")


@pytest.mark.parametrize("words", [(), ("run",), ("lab", "check"), ("theory", "point")])
def test_h_is_help_everywhere(labkit, words):
    code, out, _ = labkit(*words, "-h")
    assert code == 0
    assert out == labkit(*words, "--help")[1]
    assert f"Usage: labkit {' '.join(words)}".strip() in out


def test_shells_complete_commands():
    asked = {
        "_LABKIT_COMPLETE": "complete_bash", "COMP_WORDS": "labkit theory po", "COMP_CWORD": "2"
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | asked,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["point"]


def test_completion_is_offered_for_installation(labkit):
    assert "--install-completion" in labkit("-h")[1]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["nope"], 2, "Commands are demo, analyse,"),
        (["lab", "chekc"], 2, "Did you mean check?"),
        (["run", "nope"], 1, "experiment of labkit's, which are autopilot, balance,"),
        (["run", "lock", "--station", "nope"], 1, "station of labkit's: virtual, example, others"),
        (["theory", "point", "nope"], 1, "yu2020"),
        (["estimate", "nope", "x.ptu"], 2, "bell2018"),
    ],
)
def test_unknown_names_list_what_exists(labkit, words, code, told):
    got, out, err = labkit(*words)
    assert (got, out) == (code, "")
    assert told in err


def test_unknown_kinds_and_options_of_an_experiment_list_what_exists(labkit, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("kind: lok\n")
    assert "kind must be one of switch_on, " in labkit("run", file)[2]
    file.write_text("kind: lock\noptions: {frobnicate: 3}\n")
    assert "frobnicate: this key is not known; keys are span, points" in labkit("run", file)[2]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot tell a reader who left")
@pytest.mark.parametrize("words", [("theory", "list"), ("-h",), ("doctor", "--json")])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_who_has_enough_is_no_error(words, unbuffered):
    program = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
    )
    program.stdout.close()
    err = program.stderr.read()
    program.stderr.close()
    assert (program.wait(), err) == (0, "")


def test_a_link_that_broke_is_an_error_though_stdout_is_whole(labkit, monkeypatch):
    def broken(*_args, **_options):
        message = "afg: the link was lost"
        raise BrokenPipeError(32, message)

    monkeypatch.setattr("simulation.theory.models.get", broken)
    code, _, err = labkit("theory", "list")
    assert code == 1
    assert "the link was lost" in err


def test_new_experiment_runs_in_the_new_station_as_it_is(labkit, tmp_path):
    experiment, lab = tmp_path / "mine.yaml", tmp_path / "lab.yaml"
    assert labkit("new", "experiment", experiment)[0] == 0
    assert labkit("new", "station", lab)[0] == 0
    assert read_experiment(experiment).kind == "lock"
    assert read_station_file(lab).config == read_station_file("virtual").config
    assert labkit("sequence", experiment)[0] == 0
    code, out, _ = labkit("run", experiment, "--station", lab, "--out", tmp_path / "runs")
    assert code == 0
    assert "locked to" in out


def test_new_driver_its_twin_and_their_test_run_as_they_are(labkit, tmp_path, monkeypatch):
    driver = tmp_path / "my_first_source.py"
    assert labkit("new", "driver", driver)[0] == 0
    test = tmp_path / "test_my_first_source.py"
    assert "SIMULATED" not in driver.read_text() + test.read_text()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test.name]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", *sys.path]))
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "4 passed" in done.stdout, done.stdout
    code, _, err = labkit("new", "driver", tmp_path / "my source.txt")
    assert (code, "a driver must be a file such as my_source.py" in err) == (1, True)


@pytest.mark.parametrize("kind", ["station", "experiment", "driver"])
def test_new_files_overwrite_nothing(labkit, tmp_path, kind):
    path = tmp_path / ("mine.py" if kind == "driver" else "mine.yaml")
    path.write_text("mine")
    code, _, err = labkit("new", kind, path)
    assert (code, path.read_text()) == (1, "mine")
    assert "exists; choose another name" in err


def test_no_table_cuts_a_word_on_a_narrow_terminal(monkeypatch, capsys):
    from labkit.cli import tables

    monkeypatch.setattr(tables.results, "_width", 30)
    heads = ("pair", "coincidences", "accidentals", "published")
    row = ("r1p1", "123,456,789", "1.5", "9")
    tables.print_table(ResultTable(title="t", head=heads, rows=(row,)))
    assert "…" not in capsys.readouterr().out


def test_doctor_tells_what_a_laboratory_needs_of_the_machine(labkit, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    told = json.loads(labkit("doctor", "--json")[1])
    assert told["visa"]["py"].startswith("installed")
    assert told["here"]["writable"] is True
    assert told["here"]["free_bytes"] == pytest.approx(disk_usage(tmp_path).free, rel=0.2)
    assert abs(datetime.fromisoformat(told["clock"]).timestamp() - time()) < 10
    out = labkit("doctor")[1]
    for words in ("VISA backend py: installed", f"folder {tmp_path}: writable, ", " UTC"):
        assert words in out


@pytest.mark.skipif(sys.platform != "linux", reason="file names of Linux")
def test_doctor_tells_which_vendor_library_loads(monkeypatch):
    def load(name):
        if name != "libmh150.so":
            raise OSError(name)
        return object()

    monkeypatch.setattr(ctypes, "CDLL", load)
    found = doctor.vendor_libraries()
    assert found["MultiHarp"] == "loads, libmh150.so"
    assert found["TimeHarp 260"].startswith("not installed (libth260.so, ")
    assert "Newport" not in found


def test_a_run_tells_the_R_of_its_verdict(labkit, tmp_path):
    """Not the published estimator's, which a flat prior pulls down where there are few counts."""
    run = create_run(tmp_path, kind="witness", experiment={}, station="", gates=GATES)
    write_manifest(replace(run.manifest(), status="done"), run.manifest_path)
    few = {"value": 1.124, "low": 0.74, "high": None}
    found = {
        "verdict": {"decision": "not shown", "R": few},
        "witness": witness(RIEDINGER_2018["optimal"].counts).to_dict(),
    }
    (run.path / "result.json").write_text(json.dumps(found))
    (row,) = json.loads(labkit("runs", "list", "--out", tmp_path, "--json")[1])["runs"]
    assert row["R_m"] == "1.124 [0.740, inf]"


def test_runs_are_listed_with_goal_duration_R_m_and_verdict(labkit, tmp_path):
    experiment = {"kind": "witness", "options": {"goal": {"trials": 4e8}}}
    counts = RIEDINGER_2018["optimal"].counts
    for name in ("good", "damaged"):
        run = create_run(
            tmp_path / name, kind="witness", experiment=experiment, station="", gates=GATES
        )
        manifest = replace(
            run.manifest(), status="done", started="2026-11-20T10:00:00+00:00",
            ended="2026-11-20T11:02:03+00:00",
        )  # fmt: skip
        write_manifest(manifest, run.manifest_path)
        found = {"verdict": {"decision": "not shown"}, "witness": witness(counts).to_dict()}
        text = json.dumps(found) if name == "good" else "{"
        (run.path / "result.json").write_text(text)
    code, out, _ = labkit("runs", "list", "--out", tmp_path / "good", "--json")
    (row,) = json.loads(out)["runs"]
    assert (code, row["duration"], row["verdict"]) == (0, "1:02:03", "not shown")
    assert row["R_m"].startswith("0.735 ["), "as published, where the verdict has none"
    assert row["goal"] == "400,000,000 trials"
    assert labkit("runs", "list", tmp_path / "good", "--json")[1] == out
    code, _, err = labkit("runs", "list", tmp_path / "good", "--out", tmp_path / "damaged")
    assert code == 1
    assert "name one" in err
    out = labkit("runs", "list", "--out", tmp_path / "good")[1]
    assert row["run"] in out, "it must be copied"
    assert "not shown" in out
    code, out, err = labkit("runs", "list", "--out", tmp_path / "damaged", "--json")
    assert json.loads(out)["runs"][0] | {"run": ""} == row | {
        "run": "",
        "R_m": None,
        "verdict": None,
    }
    assert "result.json" in err
