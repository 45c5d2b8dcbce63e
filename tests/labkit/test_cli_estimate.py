"""``labkit simulate`` and ``labkit estimate`` are each other's way back."""

import json

import pytest

BRIGHT = (
    *(
        "--set",
        "eta_A=0.6",
        "--set",
        "eta_B=0.5",
        "--set",
        "p_read_A=0.3",
        "--set",
        "p_read_B=0.35",
    ),
    *("--set", "n_heat_A=0.05", "--set", "n_heat_B=0.05"),
)


def test_bell_test_there_and_back(labkit, tmp_path):
    code, _, _ = labkit(
        "simulate", "bell2018", "--trials", "2e6", *BRIGHT, "-o", tmp_path / "x.ptu"
    )
    assert code == 0
    files = sorted(tmp_path.glob("*.ptu"))
    code, out, _ = labkit("estimate", "bell2018", *files, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["S"]["low"] < found["S"]["value"] < found["S"]["high"]
    assert 2.0 < found["S"]["value"] < 2.8
    assert set(found["coincidences"]) == {"b1 r1", "b1 r2", "b2 r1", "b2 r2"}
    code, out, _ = labkit("estimate", "bell2018", *files)
    assert "local models have S ≤ 2" in out


def test_memory_there_and_back(labkit, tmp_path):
    bright = ("p_pump=0.02", "wcs_1=0.02", "wcs_2=0.05", "eta_s=0.5", "eta_r=0.5", "tau=1e-6")
    settings = [word for setting in bright for word in ("--set", setting)]
    labkit("simulate", "memory2020", "--trials", "5e5", *settings, "-o", tmp_path / "x.ptu")
    code, out, _ = labkit("estimate", "memory2020", *tmp_path.glob("*.ptu"), "--json")
    found = json.loads(out)
    assert code == 0
    assert 0 < found["V"]["low"] < found["V"]["high"] < 1


def test_single_phonons_add_up_over_files(labkit, tmp_path):
    bright = ("p_pump=0.05", "eta_s=0.4", "eta_r=0.5", "p_read=0.6")
    settings = [word for setting in bright for word in ("--set", setting)]
    simulate = ("simulate", "single_phonons2017", "--trials", "3e5", *settings)
    labkit(*simulate, "-o", tmp_path / "x.ptu")
    one = json.loads(labkit("estimate", "single_phonons2017", tmp_path / "x.ptu", "--json")[1])
    both = [tmp_path / "x.ptu"] * 2
    two = json.loads(labkit("estimate", "single_phonons2017", *both, "--json")[1])
    assert two["triples"] == 2 * one["triples"] > 0
    assert two["g2"]["value"] == pytest.approx(one["g2"]["value"])
    assert two["g2"]["high"] < one["g2"]["high"]


def test_wrong_numbers_of_files_are_refused(labkit, tmp_path):
    code, _, err = labkit("estimate", "bell2018", tmp_path / "x.ptu")
    assert code == 1
    assert "a file for each of b1 r1, b1 r2, b2 r1, b2 r2, but got 1" in err
