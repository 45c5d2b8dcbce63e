"""The command line as a user meets it: JSON shapes, exit codes, error texts, files left behind."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from analysis.counting import t2_loops, t3_loops
from analysis.published import RIEDINGER_2018
from analysis.tagfile import PtuWriter
from simulation.recordings.ptu import simulate_ptu
from simulation.theory.dlcz import riedinger2018

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    path = tmp_path_factory.mktemp("tags") / "short.ptu"
    return simulate_ptu(path, riedinger2018(), 100_000_000, seed=3)


@pytest.fixture
def counts_file(tmp_path):
    counts = RIEDINGER_2018["optimal"].counts
    plain = {
        "source": "published",
        "optimal": {
            "trials": counts.trials,
            "pump": list(counts.pump),
            "read": list(counts.read),
            "coincidences": dict(counts.coincidences),
        },
    }

    def write(**changes):
        path = tmp_path / "counts.json"
        path.write_text(json.dumps(plain | {"optimal": plain["optimal"] | changes}))
        return path

    return write


def test_analyse_prints_one_json_object_of_the_documented_shape(labkit, recording):
    code, out, _ = labkit("analyse", recording.path, "--gates", recording.gates_path, "--json")
    result = json.loads(out)
    assert code == 0
    assert result["trials"] == 100_000_000
    assert set(result["singles"]) == {"pump", "read"}
    assert set(result["singles"]["pump"]) == {"1", "2"}
    assert list(result["coincidences"]) == ["r1p1", "r2p1", "r1p2", "r2p2"]
    assert set(result["g2"]["r1p1"]) == {"value", "low", "high"}
    assert set(result["witness"]) == {"1", "2", "sym"}
    assert set(result["witness"]["sym"]) == {"mode", "low", "high", "plugin"}
    assert result["quality"]["records"] == recording.records


def test_several_files_add_up(labkit, recording):
    twice = [recording.path, recording.path]
    _, out, _ = labkit(
        "analyse", *twice, "--gates", recording.gates_path, "--allow-repeats", "--json"
    )
    _, once, _ = labkit("analyse", recording.path, "--json")
    assert json.loads(out)["trials"] == 2 * json.loads(once)["trials"]
    assert json.loads(out)["singles"]["read"]["2"] == 2 * json.loads(once)["singles"]["read"]["2"]


def test_published_counts_give_the_published_witness(labkit, counts_file):
    code, out, _ = labkit("witness", counts_file(), "--counts-set", "optimal", "--json")
    witness, published = (json.loads(out)[name] for name in ("witness", "as_published"))
    assert code == 0
    assert witness["1"]["plugin"] == pytest.approx(0.62982375, abs=5e-9)
    assert [round(witness["sym"][k], 5) for k in ("mode", "low", "high")] == [
        0.73541,
        0.67406,
        0.85330,
    ]
    assert published["sym"] == pytest.approx(0.98362, abs=5e-6)
    assert published["meaning"].endswith("describes, decides nothing")


ALL_DECLARED = {
    "splitting": 0.503, "splitting_error": 0.003, "pump_balance": 0.02, "read_balance": 0.1,
    "device_ratio": 1.5, "fringe_period_pi": 1.95, "fringe_period_error_pi": 0.1,
    "null_blindness_upper": 0, "null_crosstalk_upper": 0, "background": 0.3,
}  # fmt: skip


@pytest.mark.parametrize("declared", [{}, ALL_DECLARED], ids=["nothing declared", "all declared"])
@pytest.mark.parametrize(
    ("tags", "gates"),
    [
        ("cases/tags/afterpulsing_1pct.ptu", "cases/tags/sync.gates.yaml"),
        ("data/hydraharp_v1_t3.ptu", "cases/tags/real_hydraharp_v10_t3.gates.yaml"),
    ],
)
def test_recordings_of_no_entanglement_meet_no_conditions(labkit, tags, gates, declared):
    """Independent lights with 1 % afterpulses, and fluorescing molecules: P(R_m < 1) is 100 %."""
    if not (SHARED.parent / tags).exists():
        pytest.skip(f"{tags} is not beside this checkout")
    assumed = [word for name, value in declared.items() for word in ("--assume", f"{name}={value}")]
    code, out, _ = labkit(
        "analyse", SHARED.parent / tags, "--gates", SHARED.parent / gates, "--json", *assumed
    )
    result = json.loads(out)
    assert code == 0
    assert result["as_published"]["sym"] > 0.9999
    verdict = result["verdict"]
    assert verdict["decision"] == "conditions not met"
    assert "crossed <= same" in verdict["reasons"]
    _, text, _ = labkit("analyse", SHARED.parent / tags, "--gates", SHARED.parent / gates, *assumed)
    assert "entangled" not in text.lower()


def test_witness_table_shows_the_published_values_beside(labkit, counts_file):
    _, out, _ = labkit("witness", counts_file(), "--bound", "0.995")
    assert "0.612 +0.152 -0.057" in out
    assert "98.22 %" not in out
    assert "98.3 % confidence" in out


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trials": 0}, "`trials` must"),
        ({"pump": [-1, 5]}, "`pump 1` must"),
        ({"pump": [0, 184114]}, "must not exceed `pump 1` = 0"),
        ({"read": [108723]}, "`read` must hold two counts"),
        ({"coincidences": {"r1p1": 9}}, "r2p1"),
        (
            {"coincidences": {"r1p1": 200000, "r2p1": 130, "r1p2": 129, "r2p2": 37}},
            "`r1p1` must",
        ),
    ],
)
def test_impossible_counts_are_refused_in_one_line(labkit, counts_file, changes, message):
    path = counts_file(**changes)
    code, out, err = labkit("witness", path, "--json")
    assert (code, out) == (1, "")
    assert message in err
    assert str(path) in err


def test_unknown_set_lists_the_sets(labkit, counts_file):
    code, _, err = labkit("witness", counts_file(), "--counts-set", "best")
    assert code == 1
    assert "optimal" in err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"abc", "must start with"),
        (b"PQTTTR\0\0" + b"1.0.00\0\0" + b"\xff" * 100, "byte"),
    ],
)
def test_unreadable_tag_file_is_named_with_exit_code_1(labkit, tmp_path, content, message):
    path = tmp_path / "broken.ptu"
    path.write_bytes(content)
    for command in ("info", "analyse"):
        extra = ["--gates", _gates(tmp_path)] if command == "analyse" else []
        code, out, err = labkit(command, path, *extra)
        assert (code, out) == (1, "")
        assert message in err
        assert "broken.ptu" in err


def _gates(folder):
    path = folder / "some.gates.yaml"
    path.write_text(
        "period: 50.0e-6\ndetectors: {1: 0, 2: 1}\n"
        "gates: {pump: {start: 0.0, stop: 60.0e-9}, read: {start: 123.0e-9, stop: 183.0e-9}}\n"
    )
    return path


def test_truncated_file_counts_what_is_whole_and_says_so(labkit, recording, tmp_path):
    content = recording.path.read_bytes()
    path = tmp_path / "cut.ptu"
    path.write_bytes(content[: -4 * 1000 - 2])
    code, out, _ = labkit("analyse", path, "--gates", recording.gates_path, "--json")
    result = json.loads(out)
    assert code == 0
    assert result["quality"]["records"] == recording.records - 1001
    assert any("2 bytes" in warning for warning in result["quality"]["warnings"])


def test_crashed_acquisition_with_header_count_zero_is_counted_by_file_size(
    labkit, recording, tmp_path
):
    content = bytearray(recording.path.read_bytes())
    at = content.index(b"TTResult_NumberOfRecords") + 40
    content[at : at + 8] = bytes(8)
    path = tmp_path / "crashed.ptu"
    path.write_bytes(content)
    _, out, _ = labkit("analyse", path, "--gates", recording.gates_path, "--json")
    quality = json.loads(out)["quality"]
    assert quality["records"] == recording.records
    assert any("0 records" in warning for warning in quality["warnings"])


def test_file_without_clicks_reports_why_g2_is_undefined(labkit, tmp_path):
    path = tmp_path / "dark.ptu"
    with PtuWriter(path, resolution=250e-12, sync_rate=20_000) as writer:
        writer.write(np.array([0xFE000000 | 900], np.uint32))
    code, out, _ = labkit("analyse", path, "--gates", _gates(tmp_path), "--json")
    result = json.loads(out)
    assert code == 0
    assert result["witness"] is None
    assert "must be at least 1" in result["undefined"]["witness"]
    assert result["trials"] == 921_600


def test_analyse_without_gates_runs_a_proposal_and_says_so(labkit, recording, tmp_path):
    path = tmp_path / "alone.ptu"
    path.write_bytes(recording.path.read_bytes())
    code, out, err = labkit("analyse", path, "--json")
    assert code == 0
    assert "PROPOSAL" in err
    verdict = json.loads(out)["verdict"]
    assert verdict is None or verdict["decision"] == "conditions not met"


def test_counts_can_be_saved_as_json_and_netcdf(labkit, recording, tmp_path):
    import xarray as xr

    from analysis.counts import Counts

    labkit("analyse", recording.path, "-o", tmp_path / "c.json")
    labkit("analyse", recording.path, "-o", tmp_path / "c.nc")
    counts = Counts.from_dict(json.loads((tmp_path / "c.json").read_text()))
    with xr.open_dataset(tmp_path / "c.nc", engine="h5netcdf") as data:
        assert int(data.trials) == counts.trials.number
        assert np.array_equal(data.singles, counts.singles)
    code, _, err = labkit("analyse", recording.path, "-o", tmp_path / "c.txt")
    assert code == 1
    assert "must end in .json or .nc" in err


def test_demo_writes_report_and_pictures_and_finds_entanglement(labkit, tmp_path):
    code, out, _ = labkit("demo", "--trials", "2e9", "--out", tmp_path, "--json")
    result = json.loads(out)
    assert code == 0
    assert result["witness"]["sym"]["high"] < 1
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 3
    assert "0.74 +0.12 -0.06" in page
    assert {p.name for p in tmp_path.iterdir()} >= {"witness.ptu", "witness.png", "pairs.png"}


def test_same_seed_gives_the_same_result(labkit, tmp_path):
    runs = [
        labkit("demo", "--trials", "1e7", "--seed", "5", "--out", tmp_path / name, "--json")[1]
        for name in ("a", "b")
    ]
    assert json.loads(runs[0])["singles"] == json.loads(runs[1])["singles"]


def test_simulated_recording_is_analysed_without_naming_gates(labkit, tmp_path):
    path = tmp_path / "x.ptu"
    code, _, _ = labkit("simulate", "riedinger2018", "--trials", "1e6", "--mode", "T2", "-o", path)
    assert code == 0
    _, out, _ = labkit("analyse", path, "--json")
    assert json.loads(out)["trials"] == 1_000_000


def test_unknown_experiment_and_existing_output_are_refused(labkit, tmp_path):
    path = tmp_path / "x.ptu"
    code, _, err = labkit("simulate", "riedinger2019", "-o", path)
    assert code == 1
    assert "riedinger2018" in err
    path.write_bytes(b"precious")
    code, _, err = labkit("simulate", "riedinger2018", "--trials", "1000", "-o", path)
    assert code == 1
    assert path.read_bytes() == b"precious"


def test_simulated_detectors_lie_if_told_to(labkit, tmp_path):
    path = tmp_path / "x.ptu"
    simulate = ("simulate", "riedinger2018", "--trials", "2e7", "-o", path)
    code, _, err = labkit(*simulate, "--set", "afterpulsing=0.5")
    assert code == 1
    assert "nearest: afterpulse" in err
    assert labkit(*simulate, "--set", "afterpulse=0.5", "--set", "eta_1=0.8")[0] == 0
    found = json.loads(labkit("analyse", path, "--json")[1])
    heralds = sum(found["singles"]["pump"].values())
    same = sum(found["coincidences"][cell] for cell in ("r1p1", "r2p2"))
    assert same / heralds == pytest.approx(0.5, abs=5 * 0.5 / heralds**0.5)


def test_convert_keeps_the_counts(labkit, recording, tmp_path):
    target = tmp_path / "x.h5"
    code, _, _ = labkit("convert", recording.path, target)
    assert code == 0
    _, ours, _ = labkit("analyse", target, "--gates", recording.gates_path, "--json")
    _, theirs, _ = labkit("analyse", recording.path, "--json")
    assert json.loads(ours)["coincidences"] == json.loads(theirs)["coincidences"]


def test_info_of_a_real_recording(labkit):
    path = SHARED / "hydraharp_v2_t3.ptu"
    if not path.exists():
        pytest.skip(f"the real recording {path.name} is not on this machine")
    code, out, _ = labkit("info", path, "--json")
    result = json.loads(out)
    assert code == 0
    assert result["photons"] == {"0": 45012, "1": 32871}


def test_doctor_finds_this_installation_sound(labkit):
    code, out, _ = labkit("doctor", "--json")
    result = json.loads(out)
    assert code == 0
    assert all(result["packages"].values())
    assert set(result["own_packages"]) == {"analysis", "instruments", "simulation"}


def test_doctor_compiles_the_counting_loops(labkit):
    code, out, _ = labkit("doctor", "--compile", "--json")
    assert code == 0
    assert json.loads(out)["numba_cache"]["compiled_s"] > 0
    assert t3_loops.hydra_t3.signatures
    assert t2_loops.hydra_t2.signatures
    assert json.loads(labkit("doctor", "--json")[1])["numba_cache"]["compiled_s"] is None


def test_wrong_usage_exits_with_2(labkit):
    assert labkit("analyse")[0] == 2
    assert labkit("nonsense")[0] == 2


def test_a_bell_test_is_simulated_setting_by_setting(labkit, tmp_path):
    options = ("--trials", "2e5", "--set", "eta_A=0.5", "--set", "heating=power")
    code, _, err = labkit("simulate", "bell2018", *options, "-o", tmp_path / "bell.ptu")
    assert code == 0
    assert "bell_b1r1.ptu  200,000 trials" in err
    assert len(list(tmp_path.glob("bell_b?r?.gates.yaml"))) == 4


@pytest.mark.parametrize("package", ["distributed", "fsspec"])
def test_an_optional_package_that_is_missing_is_told_in_a_line(
    package, monkeypatch, recorded, labkit
):
    monkeypatch.setitem(sys.modules, package, None)
    here = ("analyse", recorded[0], "--workers", "2")
    code, _, said = labkit(*(here if package == "distributed" else ("info", "memory://x.ptu")))
    assert code == 1
    assert said.startswith("labkit: error: this needs ")
    assert "pip install" in said
    assert said.count("\n") == 1


def test_a_folder_of_runs_that_is_not_there_is_an_error(tmp_path, labkit):
    code, _, said = labkit("runs", "list", tmp_path / "nowhere")
    assert code == 1
    assert "nowhere: there is no such folder" in said


def test_unknown_results_of_a_sweep_are_refused_before_workers_start(tmp_path, monkeypatch, labkit):
    monkeypatch.setattr("labkit.cli.theory.shared", None)
    out = tmp_path / "s.nc"
    line = ["theory", "sweep", "yu2020", "--x", "delta_1:0:1:3", "--only", "E_M", "-o", out]
    code, _, said = labkit(*line)
    assert code == 1
    assert "no result 'E_M' of yu2020; nearest: " in said
