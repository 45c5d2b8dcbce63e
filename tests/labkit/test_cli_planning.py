"""``labkit plan`` and ``labkit sequence``."""

import json
import re

import pytest
import xarray as xr

from analysis.yamlfile import read_yaml, yaml_text
from labkit.cli import run
from labkit.experiment import experiment_path

COUNTS = {
    "trials": 1_114_000_000, "pump": [103_000, 176_000], "read": [105_000, 170_000],
    "coincidences": {"r1p1": 9, "r2p1": 130, "r1p2": 129, "r2p2": 37},
}  # fmt: skip


def test_plan_by_the_model_is_for_the_always_valid_claim(capsys):
    assert run(["plan", "--confidence", "0.99", "--json"]) == 0
    (plan,) = json.loads(capsys.readouterr().out)["plans"]
    assert 1.4e9 < plan["trials"] < 1.9e9
    assert plan["seconds"] == pytest.approx(plan["trials"] * 50e-6 * 1.15)


def test_plan_by_counts_tells_what_is_left(tmp_path, capsys):
    path = tmp_path / "counts.json"
    path.write_text(json.dumps(COUNTS), encoding="utf-8")
    assert run(["plan", str(path), "--confidence", "0.9", "--confidence", "0.999"]) == 0
    text = capsys.readouterr().out
    rows = [line.split("│")[1:-1] for line in text.splitlines() if "%" in line and "│" in line]
    (_, _, _, done, _), (_, trials, hours, left, spread) = rows
    assert float(done) == 0.0
    assert float(left) == pytest.approx(float(hours) * (1 - 1.114e9 / float(trials)), abs=0.3)
    assert float(spread.split("/")[0]) < float(trials)
    assert "measured so far: 1,114,000,000 trials" in text


def test_plan_answers_everything_about_a_model(tmp_path, capsys):
    picture = tmp_path / "trade_offs.png"
    asked = ["--what-if", "theta=0,delay=80e-9", "--sigma", "3", "--best", "theta,e_read"]
    more = ["--goals", "--fibre", "--plot", str(picture), "--json"]
    assert run(["plan", "--confidence", "0.99", *asked, *more]) == 0
    found = json.loads(capsys.readouterr().out)
    (plan,), (sigma,) = found["plans"], found["sigmas"]
    assert plan["trials"] == pytest.approx(6.76e8, rel=0.01)
    assert plan["spread"]["low"] < plan["spread"]["median"] < plan["spread"]["high"]
    assert sigma["trials"] == pytest.approx(4.38e8, rel=0.04)
    assert found["optimum"]["knobs"]["delay"] == 80e-9
    assert found["goals"]["S"]["median"] > 2
    far, near = found["fibres"]
    assert far["distance"] == pytest.approx(94e3, rel=0.01)
    assert far["as_extended"] / 86400 == pytest.approx(171, abs=0.5)
    assert near["distance"] == pytest.approx(75e3, rel=0.01)
    assert near["as_extended"] / 86400 == pytest.approx(37.6, abs=0.1)
    assert any("below 123 ns" in text for text in found["assumed"])
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_scan_is_written_and_its_best_point_told(tmp_path, capsys):
    file = tmp_path / "scan.nc"
    axes = ["--scan", "E_pump:0.5:2:4", "--scan", "delay:80e-9:300e-9:3"]
    assert run(["plan", *axes, "-o", str(file), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    with xr.open_dataset(file, engine="h5netcdf") as data:
        assert dict(data.sizes) == {"e_pump": 4, "delay": 3}
        assert data["delay"].attrs["units"] == "s"
        soonest = data["seconds"].argmin(...)
        assert found["best"]["seconds"] == float(data["seconds"].min())
        assert found["best"]["R_m"] == float(data["R_m"][soonest])
    assert found["best"]["knobs"]["delay"] == 80e-9
    assert run(["plan", "--scan", "loss_A:0:30:2", "--what-if", "theta=1.5", "-o", str(file)]) == 0
    assert capsys.readouterr().out == "no claim at any of 2 points\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["--scan", "delay:1e-7:2e-7:2"], "name both, or none"),
        (["-o", "x.nc"], "name both, or none"),
        (["--workers", "2"], "share a --scan or --plot"),
        (["--scan", "delay:1e-7:2e-7:2", "-o", "x.txt"], "must be a .nc"),
        (["--scan", "delay:1e-7:2e-7:2", "-o", "x.nc", "--goals"], "leave --goals out"),
        (["--scan", "colour:1:2:2", "-o", "x.nc"], "must name some of delay"),
        (["--scan", "period:1e-9:2:3", "-o", "x.nc"], "`period` must lie between"),
        (["--scan", "delay:1e-7:2e-7", "-o", "x.nc"], "NAME:START:STOP:N"),
        (["--scan", "delay:1e-7:2e-7:2", "--scan", "Delay:1:2:2", "-o", "x.nc"], "each knob once"),
        (
            ["--scan", "theta:0:1:2", "-o", "x.nc", "--confidence", "0.9", "--confidence", "0.5"],
            "for one --confidence",
        ),
    ],
)
def test_what_a_scan_cannot_do_is_refused(line, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["plan", *line]) == 1
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_workers_scan_and_plot_the_same(tmp_path, capsys):
    line = ["plan", "--scan", "e_read:0.5:2:3", "--scan", "theta:0:0.5:2", "--json", "-o"]
    files = [tmp_path / "here.nc", tmp_path / "there.nc"]
    assert run([*line, str(files[0])]) == 0
    assert run([*line, str(files[1]), "--workers", "2"]) == 0
    here, there = (xr.load_dataset(file, engine="h5netcdf") for file in files)
    xr.testing.assert_identical(here, there)
    plots = [tmp_path / "here.svg", tmp_path / "there.svg"]
    assert run(["plan", "--plot", str(plots[0])]) == 0
    assert run(["plan", "--plot", str(plots[1]), "--workers", "2"]) == 0
    paths = [re.findall(r' d="[^"]*"', plot.read_text()) for plot in plots]
    assert paths[0] == paths[1]


def test_budget_is_printed_drawn_and_given_as_json(tmp_path, capsys):
    picture = tmp_path / "waterfall.png"
    assert run(["budget", "--what-if", "theta=0", "--plot", str(picture)]) == 0
    text = capsys.readouterr().out
    assert "without leaked drive light" in text
    assert "interaction" in text
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run(["budget", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["now"]["R_m"]["median"] == pytest.approx(0.691978, abs=1e-5)
    assert len(found["budget"]) == 11


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "p_pump=0.1"], "must name one of n_0_A"),
        (["--set", "p_pump_A=0.02"], "improve the state first"),
        (["--confidence", "1.5"], "between 0.5 and 1"),
        (["nowhere"], "nowhere"),
        (["--what-if", "colour=1"], "but are colour"),
        (["--what-if", "delay=soon"], "--what-if delay must be a number, but is 'soon'"),
        (["--what-if", "delay=1e-9"], "`delay` must lie between"),
        (["--best", "colour"], "`over` must name some of theta"),
        (["counts.json", "--goals"], "--goals changes the model, but a run was given"),
        (["--posterior", "nowhere.nc"], "nowhere.nc"),
    ],
)
def test_plan_that_cannot_be_made_says_why(capsys, arguments, message):
    assert run(["plan", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_sequence_is_printed_checked_and_drawn(tmp_path, capsys):
    picture = tmp_path / "timing.png"
    assert run(["sequence", "autopilot", "-o", str(picture)]) == 0
    text = capsys.readouterr().out
    assert "pump       573 to 641 ns" in text
    assert "all timing rules are respected" in text
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run(["sequence", "autopilot", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"sequence", "gates"}


def test_sequence_that_breaks_a_rule_names_pulse_and_rule(tmp_path, capsys):
    folder = experiment_path("autopilot").parent / "sequences"
    plain = read_yaml(folder / "virtual_lab.yaml")
    plain["pulses"]["read"]["start"] = 0.42e-6
    path = tmp_path / "overlap.yaml"
    path.write_text(yaml_text({"kind": "lock", "sequence": plain}), encoding="utf-8")
    assert run(["sequence", str(path)]) == 1
    error = capsys.readouterr().err
    assert "read" in error
    assert "pump" in error
