"""``labkit blocks`` and ``correlate``; counts that travel between commands; plain terminals."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from analysis.gates import Gate, GateSet
from labkit.cli import run
from simulation.recordings.ptu import simulate_ptu
from simulation.theory.dlcz import riedinger2018

TRIALS, PERIOD = 20_000, 1000  # ticks of 1 ns


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """A T2 recording of 20 ms with a sync per trial, gates pump and read, a marker half-way."""
    folder = tmp_path_factory.mktemp("recording")
    rng = np.random.default_rng(5)
    rows = [(n * PERIOD, 64) for n in range(TRIALS)]
    for start in (100, 300):
        for channel in (0, 1):
            trials = np.flatnonzero(rng.random(TRIALS) < 0.05)
            rows += [(n * PERIOD + start + int(rng.integers(50)), channel) for n in trials]
    rows.append((TRIALS // 2 * PERIOD - 10, 65))
    time, channel = np.array(sorted(rows)).T
    table = folder / "tags.npz"
    np.savez(table, time_ps=time * 1000, channel=channel)
    gates = GateSet(
        period=1e-6, detectors={1: 0, 2: 1},
        gates=(Gate(name="pump", start=100e-9, stop=150e-9),
               Gate(name="read", start=300e-9, stop=350e-9)),
    )  # fmt: skip
    (folder / "tags.gates.yaml").write_text(gates.to_yaml(), encoding="utf-8")
    return table


def printed(capsys, arguments):
    assert run([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_blocks_of_equal_length_add_up_to_the_file(recording, capsys):
    found = printed(capsys, ["blocks", recording, "--every", "0.004"])
    whole = printed(capsys, ["analyse", recording])
    assert found["trials"] == [4000] * 5
    for gate in ("pump", "read"):
        for detector in "12":
            assert sum(found["singles"][gate + detector]) == whole["singles"][gate][detector]
    for name, number in whole["coincidences"].items():
        assert sum(found["g2"][name]["coincidences"]) == number
        assert found["g2"][name]["pooled"] == pytest.approx(whole["g2"][name]["value"])
    assert min(each["p_scatter"] for each in found["drift"].values()) > 1e-3


def test_blocks_are_cut_at_a_marker(recording, capsys):
    assert printed(capsys, ["blocks", recording, "--marker", "1"])["trials"] == [TRIALS // 2] * 2


def test_a_trimmed_recording_is_saved_for_the_witness(recording, tmp_path, capsys):
    saved = tmp_path / "counts.json"
    trimmed = printed(capsys, ["blocks", recording, "--from", "0.01", "-o", saved])
    assert trimmed["trials"] == TRIALS // 2
    found = printed(capsys, ["witness", saved])
    assert found["trials"] == TRIALS // 2
    assert found["coincidences"] == trimmed["coincidences"]


def test_witness_reads_what_analyse_prints(recording, tmp_path, capsys):
    whole = printed(capsys, ["analyse", recording])
    text = tmp_path / "analysed.json"
    text.write_text(json.dumps(whole), encoding="utf-8")
    assert printed(capsys, ["witness", text])["g2"] == whole["g2"]


def test_plan_reads_what_analyse_prints(tmp_path, capsys):
    text = tmp_path / "analysed.json"
    analysed = {
        "trials": 1_114_000_000,
        "singles": {"pump": {"1": 103_000, "2": 176_000}, "read": {"1": 105_000, "2": 170_000}},
        "coincidences": {"r1p1": 9, "r2p1": 130, "r1p2": 129, "r2p2": 37},
    }
    text.write_text(json.dumps(analysed), encoding="utf-8")
    assert (
        printed(capsys, ["plan", text, "--confidence", "0.9"])["measured_trials"] == 1_114_000_000
    )


def test_saved_counts_without_the_nine_say_so(recording, tmp_path, capsys):
    whole = printed(capsys, ["analyse", recording])
    whole["singles"].pop("read")
    text = tmp_path / "analysed.json"
    text.write_text(json.dumps(whole), encoding="utf-8")
    assert run(["witness", str(text)]) == 1
    assert "`read` must be given, but is missing" in capsys.readouterr().err


def test_correlation_of_independent_channels_is_flat_from_period_to_period(recording, capsys):
    found = printed(
        capsys, ["correlate", recording, "--channels", "0,1", "--delay", "2e-6", "--bin", "1e-6"]
    )
    assert len(found["pairs"]) == 4
    assert np.array(found["g2"]) == pytest.approx(1.0, abs=4 / np.sqrt(min(found["pairs"])))


def test_threefold_coincidences_are_heralded_by_the_first_cell(recording, capsys):
    found = printed(
        capsys, ["coincidences", recording, "--of", "pump1,read1,read2", "--of", "pump1,read1"]
    )
    three, two = found["coincidences"]
    whole = printed(capsys, ["analyse", recording])
    assert two["together"] == whole["coincidences"]["r1p1"]
    assert two["g"] == pytest.approx(whole["g2"]["r1p1"])
    assert three["together"] <= two["together"]
    assert three["heralded_g2"]["low"] < three["heralded_g2"]["high"]


def test_delays_are_found_and_taken_out(recording, capsys):
    found = printed(capsys, ["delays", recording, "--gate", "read"])["delays"]
    assert (
        max(abs(each["value"]) for each in found.values()) < 5e-9
    )  # pulses of 50 ns, 1,000 clicks
    moved = printed(
        capsys,
        ["blocks", recording, "--from", "0", "--delay", "0=200e-9", "--delay", "1=200e-9"],
    )
    whole = printed(capsys, ["analyse", recording])
    assert moved["singles"]["read"] == whole["singles"]["pump"]


def test_background_of_a_dark_gate_changes_nothing(recording, tmp_path, capsys):
    gates = GateSet.from_yaml(recording.with_suffix(".gates.yaml"))
    with_off = replace(gates, gates=(*gates.gates, Gate(name="off", start=5e-7, stop=6e-7)))
    path = tmp_path / "off.yaml"
    path.write_text(with_off.to_yaml(), encoding="utf-8")
    found = printed(capsys, ["background", recording, "--off", "off", "--gates", path])
    assert len(found["g2"]) == 4
    for each in found["g2"].values():
        assert each["raw"] == pytest.approx(each["corrected"], rel=1e-2)  # no click, but no proof
        assert each["background_shares"] == [0, 0]
    assert run(["background", str(recording), "--off", "dark", "--gates", str(path)]) == 1
    assert "no gate 'dark'" in capsys.readouterr().err


def test_afterpulses_are_taken_out_by_a_dark_gate_or_coherent_light(recording, tmp_path, capsys):
    gates = GateSet.from_yaml(recording.with_suffix(".gates.yaml"))
    with_off = replace(gates, gates=(*gates.gates, Gate(name="off", start=5e-7, stop=6e-7)))
    path = tmp_path / "off.yaml"
    path.write_text(with_off.to_yaml(), encoding="utf-8")
    found = printed(capsys, ["afterpulses", recording, "--off", "off", "--gates", path])
    for each in found["g2"].values():
        assert each["raw"]["value"] == each["corrected"]["value"]
        assert each["afterpulse_share"] == each["blocked_share"] == 0
    own = printed(capsys, ["afterpulses", recording, "--coherent", recording])
    for name, each in own["g2"].items():  # a recording that calibrates itself has nothing left
        if name in ("r1p1", "r2p2"):
            assert each["corrected"]["value"] == pytest.approx(1, abs=0.02)
    assert run(["afterpulses", str(recording)]) == 1
    assert "needs one of --off and --coherent" in _said(capsys)


def test_shifted_trials_are_uncorrelated(tmp_path, capsys):
    recording = simulate_ptu(tmp_path / "x.ptu", riedinger2018("optimal"), 10_000_000, seed=2)
    found = printed(capsys, ["shifted", recording.path, "--shifts", "1000"])
    for each in found["g2"].values():  # some hundred pairs of trials each
        sigma = (each["high"] - each["low"]) / 2
        assert abs(each["value"] - 1) < 4.5 * sigma
        assert 0 < sigma < 0.3


def test_a_detector_without_memory_shows_none(recording, capsys):
    found = printed(capsys, ["detector", recording, "--channel", "0", "--reach", "5e-6"])
    assert abs(found["afterpulse"]["value"]) < 0.1
    assert found["clicks"] / found["seconds"] == pytest.approx(found["rate"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["blocks"], "needs one of --every"),
        (["blocks", "--every", "1", "--marker", "1"], "needs one of --every"),
        (["blocks", "--every", "1e-9"], "at least one period"),
        (["blocks", "--marker", "4"], "no record of marker 4"),
        (["coincidences", "--of", "pump3,read1"], "a cell must be one of pump1"),
        (["detector", "--channel", "7"], "channel 7 has no click"),
        (["blocks", "--every", "1", "--delay", "x"], "--delay must be CHANNEL=SECONDS"),
        (["correlate", "--channels", "a"], "must be two channel numbers"),
        (["correlate", "--channels", "0,5"], "channel 5 has no click"),
    ],
)
def test_what_cannot_be_done_says_why(recording, capsys, arguments, message):
    command, *options = arguments
    assert run([command, str(recording), *options]) == 1
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_output_survives_a_terminal_that_lacks_letters(recording, encoding):
    commands = (
        ["analyse", str(recording)], ["info", str(recording), "--plot"], ["gates", str(recording)],
        ["blocks", str(recording), "--every", "0.004", "--fringe"],
        ["coincidences", str(recording), "--of", "pump1,read1,read2"],
        ["correlate", str(recording), "--bin", "2e-8"],
        ["detector", str(recording), "--channel", "0", "--reach", "5e-6"],
    )  # fmt: skip
    code = (
        f"import sys; from labkit.cli import run\nsys.exit(max(run(each) for each in {commands!r}))"
    )
    start = "from labkit.cli.output import any_encoding; any_encoding()\n"
    done = subprocess.run(
        [sys.executable, "-c", start + code],
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode(encoding)
    shown = done.stdout.decode(encoding)
    assert ("g^2" if encoding == "ascii" else "g²") in shown
    assert ("+-" if encoding == "ascii" else "±") in shown
    assert "R_m" in shown


@pytest.mark.parametrize("suffix", [".json", ".nc"])
def test_witness_and_plan_read_what_analyse_saved(recording, tmp_path, capsys, suffix):
    saved = tmp_path / f"counts{suffix}"
    whole = printed(capsys, ["analyse", recording, "-o", saved])
    assert printed(capsys, ["witness", saved])["coincidences"] == whole["coincidences"]
    assert run(["plan", str(saved)]) == 1  # it read them: these clicks are independent
    assert "the expected R of inf does not lie below 1" in _said(capsys)


def test_netcdf_gives_the_same_counts_back(recording, tmp_path, capsys):
    import xarray as xr

    from analysis.counting import count
    from analysis.counts import Counts

    saved = tmp_path / "counts.nc"
    printed(capsys, ["analyse", recording, "-o", saved])
    with xr.open_dataset(saved, engine="h5netcdf") as data:
        assert Counts.from_xarray(data) == count(recording)
    with pytest.raises(
        ValueError, match=r"as Counts\.to_xarray writes them: No variable named 'sing"
    ):
        Counts.from_xarray(xr.Dataset())


def test_saved_blocks_are_read_as_blocks(recording, tmp_path, capsys):
    from analysis.evidence import load_evidence

    saved = tmp_path / "blocks.json"
    printed(capsys, ["blocks", recording, "--every", "0.004", "-o", saved])
    evidence = load_evidence(saved)
    assert [block.theta.trials for block in evidence.blocks] == [4000] * 5
    assert printed(capsys, ["witness", saved])["trials"] == TRIALS


def test_other_hdf5_and_parquet_files_are_named(tmp_path, capsys):
    import h5py

    with h5py.File(tmp_path / "x.nc", "w") as file:
        file["a"] = 1
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and no more")
    for name in ("x.nc", "x.parquet"):
        assert run(["witness", str(tmp_path / name)]) == 1
        assert f"{name}: must hold counts as labkit saves them" in _said(capsys)


def _said(capsys):
    return " ".join(capsys.readouterr().err.split())


def test_analyse_takes_a_part_of_a_file(recording, capsys):
    part = printed(capsys, ["analyse", recording, "--from", "0.004", "--to", "0.008"])
    block = printed(capsys, ["blocks", recording, "--from", "0.004", "--to", "0.008"])
    assert part["trials"] == 4000
    assert part["coincidences"] == block["coincidences"]
    assert run(["analyse", str(recording), str(recording), "--to", "1"]) == 1
    assert "--from and --to cut one tag file" in _said(capsys)


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """24 markers, phase stepped by a twelfth of a turn: g² of r1p1 is 3 + 2 sin(2π k/12)."""
    folder = tmp_path_factory.mktemp("scan")
    rng, length = np.random.default_rng(9), 4000
    rows = []
    for block in range(1, 25):
        rows.append((block * length * PERIOD + 10, 66))
        pumped = rng.random(length) < 0.05
        chance = 0.05 * np.where(pumped, 3 + 2 * np.sin(2 * np.pi * block / 12), 1.0)
        for start, clicked in ((100, pumped), (300, rng.random(length) < chance)):
            rows += [((block * length + k) * PERIOD + start, 0) for k in np.flatnonzero(clicked)]
    rows += [(n * PERIOD, 64) for n in range(25 * length)]
    time, channel = np.array(sorted(rows)).T
    np.savez(folder / "scan.npz", time_ps=time * 1000, channel=channel)
    gates = GateSet(
        period=1e-6, detectors={1: 0},
        gates=(Gate(name="pump", start=100e-9, stop=150e-9),
               Gate(name="read", start=300e-9, stop=350e-9)),
    )  # fmt: skip
    (folder / "scan.gates.yaml").write_text(gates.to_yaml(), encoding="utf-8")
    return folder / "scan.npz"


def test_a_phase_scan_inside_one_file_has_a_fringe(scan, capsys):
    found = printed(capsys, ["blocks", scan, "--marker", "2", "--fringe"])
    fringe = found["fringes"]["r1p1"]
    for name, wanted in (("period", 12.0), ("amplitude", 2.0)):
        away = fringe[name]["value"] - wanted
        assert abs(away) < 4 * fringe[name]["sigma"] + 0.3, name  # g² is below 3 on average
    assert run(["blocks", str(scan), "--marker", "2", "--fringe", "--period", "12"]) == 0
    shown = capsys.readouterr().out
    assert "fringe of g2 r1p1 against the block's number" in shown
    rows = [line.split() for line in shown.splitlines() if " ± " in line][:24]
    assert len(rows) == 24
    assert float(rows[2][1]) > 3.5 > 2.0 > float(rows[8][1])  # blocks 3 and 9
    assert "visibility" in shown


def test_gates_are_optimised_on_the_command_line(recording, tmp_path, capsys):
    wanted = tmp_path / "new.gates.yaml"
    assert run(["gates", str(recording), "--optimise", "-o", str(wanted)]) == 0
    assert "judged on trials that they were not chosen by" in _said(capsys)
    old, new = (GateSet.from_yaml(path) for path in (recording.with_suffix(".gates.yaml"), wanted))
    for before, after in zip(old.gates, new.gates, strict=True):
        assert before.start <= after.start < after.stop <= before.stop
    assert run(["gates", str(recording), "--gates", str(wanted)]) == 1
    assert "--gates is for --optimise" in _said(capsys)
