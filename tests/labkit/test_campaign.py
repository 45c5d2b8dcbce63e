"""Run folders as data of an inference, and `labkit infer` on them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from analysis.counts import Counts, Quality, exact_trials
from benchmarks.inference import _centre
from labkit.acting import acting_phase, pulse_energy
from labkit.campaign import read_campaign
from labkit.cli import run
from labkit.experiment import read_experiment
from labkit.learned import learned_of
from labkit.run import Block, create_run, open_run
from labkit.run.sealing import seal_run, verify_run
from labkit.sequence import Pulse
from labkit.station.config import read_station_file
from simulation.inference.model import probabilities
from simulation.inference.setting import Setting
from simulation.theory.dlcz import riedinger2018
from simulation.theory.dlcz.sources import SOURCES

SEQUENCE = read_experiment("autopilot").sequence
STATION = """
labkit:
  roles: {attenuator_a: voa_a, attenuator_b: voa_b}
  hardware: {aom_rise: 7.0e-9}
"""


def counts_of(sequence, trials, singles, pairs):
    """Counts with one bin before the pump gate that holds 5 and 9 clicks per 1e7 trials and µs."""
    gates = sequence.gates
    cells = len(gates.names) * 2
    first = gates.gates[0].start
    found = np.zeros((cells, cells), np.int64)
    if len(gates.names) == 2:
        found[2:, :2] = pairs
        found[:2, 2:] = np.transpose(pairs)
    return Counts(
        gates=gates, trials=exact_trials(trials, "test"),
        singles=np.array(singles, np.int64).reshape(-1, 2), pairs=found,
        repeated=np.zeros((len(gates.names), 2), np.int64),
        histogram=np.array([[5], [9]], np.int64) * trials // 10_000_000,
        bin_edges=np.array([0.0, first - 30e-9]), gate_of_bin=np.array([-1], np.int8),
        quality=Quality(),
    )  # fmt: skip


def written(folder, kind, sequence, blocks, transmission=(1.0, 0.7)):
    """Write a run folder whose journal has these (setting, sequence, trials, singles, pairs)."""
    made = create_run(folder, kind, {"sequence": sequence.to_dict()}, STATION, gates=sequence.gates)
    for number, (setting, played, trials, singles, pairs) in enumerate(blocks, 1):
        segment = made.segment_path(number)
        segment.write_bytes(b"")
        made.journal.append(
            Block(
                number=number, segment=made.relative(segment), setting=setting,
                counts=counts_of(played, trials, singles, pairs),
                started="2026-01-01T00:00:00+00:00", duration=3600.0,
            )
        )  # fmt: skip
        made.journal.judge(number, good=True)
    snapshot = {f"voa_{x}.transmission": t for x, t in zip("ab", transmission, strict=True)}
    made.write_manifest(replace(made.manifest(), status="done", snapshot_after=snapshot))
    return made.path


def test_a_sharp_pulse_has_the_energy_of_its_square_sine():
    pulse = Pulse(name="x", laser="pump", start=0.0, duration=40e-9, edge=0.0, level=0.3)
    assert pulse_energy(pulse) == pytest.approx(40e-9 * np.sin(0.15 * np.pi) ** 2, rel=1e-3)


def test_soft_edges_spread_energies_as_the_virtual_lab_has_them():
    """Its plant: 5.1076 and 7.832; the square sine alone says 4.98 and 7.40."""
    pump, read = SEQUENCE.pulse("pump"), SEQUENCE.pulse("read")
    strong = replace(pump, level=0.536)
    weak = pulse_energy(pump, 8e-9)
    assert pulse_energy(strong, 8e-9) / weak == pytest.approx(5.1076, rel=5e-3)
    assert pulse_energy(read, 8e-9) / weak == pytest.approx(7.832, rel=7e-3)


@pytest.mark.parametrize(
    ("asked", "less"),
    [(-np.pi, 0.0425), (-np.pi / 2, 0.0115), (np.pi / 2, 0.0120), (np.pi, 0.0425)],
)
def test_a_phase_acts_as_far_as_the_modulators_amplifier_passes_it(asked, less):
    """Its plant makes θ(π) − θ(0) = π − 0.0425 of a step of π; the compiled waveform tells."""
    station = read_station_file("virtual").config
    found = acting_phase(SEQUENCE.with_read_phase(asked), station.hardware, station.calibration)
    assert found == pytest.approx(asked - less, abs=0.006)


def test_no_phase_is_asked_for_and_none_acts():
    station = read_station_file("virtual").config
    still = SEQUENCE.with_read_phase(0.0)
    assert acting_phase(still, station.hardware, station.calibration) == 0.0


def test_leaks_of_a_splitting_are_beside_the_line_and_unknown_light_is_left_out(tmp_path):
    settings = [
        {"procedure": "splitting", "arm": "A", "light": light} for light in ("both", "leaks", "new")
    ]
    path = written(
        tmp_path, "splitting", SEQUENCE,
        [(s, SEQUENCE, 10**6, [50, 60, 40, 30], np.zeros((2, 2))) for s in settings],
    )  # fmt: skip
    campaign, remarks = read_campaign([path], riedinger2018())
    assert [r.setting.on_line for r in campaign.records] == [True, False]
    assert any("splitting" in remark for remark in remarks)


def test_settings_follow_procedure_arm_level_and_attenuators(tmp_path):
    witness = {"procedure": "witness", "delta_phi": 0.3, "delay": 123e-9, "turn": "theta"}
    turned = witness | {"delta_phi": 0.3 - np.pi, "turn": "pi"}
    four, pairs = [100, 160, 97, 150], [[1, 5], [6, 2]]
    first = written(
        tmp_path / "a", "witness", SEQUENCE,
        [(s, SEQUENCE, 10**6, four, pairs) for s in (witness, turned, witness)],
    )  # fmt: skip
    stokes = {"procedure": "thermometry", "device": "B", "light": "stokes"}
    red = SEQUENCE.without_pulse("pump")
    second = written(
        tmp_path / "b", "thermometry", SEQUENCE,
        [(stokes, SEQUENCE.without_pulse("read"), 10**6, four[:2], None),
         (stokes | {"light": "background"}, red, 10**6, four[2:], None),
         ({"procedure": "filters", "filter": "1a"}, red, 10**6, four[2:], None)],
        transmission=(1.0, 0.35),
    )  # fmt: skip
    campaign, remarks = read_campaign([first, second], riedinger2018())
    at_theta, at_pi, blue, aside = campaign.records
    assert at_theta.trials == 2 * 10**6
    assert at_theta.spans == ((0.0, 50.0), (100.0, 150.0))
    assert blue.spans == (
        (150.0, 200.0),
    )  # at the same time by the wall: not before the other's end
    assert blue.clock == at_theta.clock
    assert at_pi.setting.delta_phi - at_theta.setting.delta_phi == pytest.approx(-np.pi)
    np.testing.assert_array_equal(at_theta.coincidences, 2 * np.array(pairs))
    assert at_theta.before.tolist() == [0, 0]
    assert blue.setting.e_pump == pytest.approx((1e-3, 0.5))  # half as open as in the witness
    assert blue.setting.e_read == (0.0, 0.0)
    assert np.isnan(blue.singles[2:]).all()
    assert not aside.setting.on_line
    assert 0 < aside.setting.e_read[1] < 0.1  # the pump's level on the read laser
    assert any("filters" in remark for remark in remarks)
    assert campaign.reference.delta_phi == 0.3


def test_attenuators_of_every_block_follow_the_balances_within_a_run(tmp_path):
    """B is at 0.7, then a balance opens it to 0.8; the manifest tells of the end: 0.84."""
    four, pairs = [100, 160, 97, 150], [[1, 5], [6, 2]]
    splitting = {"procedure": "splitting", "arm": "B", "light": "both"}
    witness = {"procedure": "witness", "delta_phi": 0.3, "delay": 123e-9}
    red = SEQUENCE.without_pulse("read")

    def balance(b):
        return (
            {"procedure": "balance", "arm": "A", "transmission_A": 1.0, "transmission_B": b},
            red, 10**6, four[:2], None,
        )  # fmt: skip

    whole = (SEQUENCE, 10**6, four, pairs)
    path = written(
        tmp_path, "autopilot", SEQUENCE,
        [(splitting, *whole), balance(0.7), balance(0.8), (splitting, *whole), balance(0.84),
         (splitting, *whole), (witness, *whole)],
        transmission=(1.0, 0.84),
    )  # fmt: skip
    campaign, _ = read_campaign([path], riedinger2018())
    *alone, both = (r.setting.e_read for r in campaign.records)
    assert [b for _, b in alone] == pytest.approx([0.7 / 0.84, 0.8 / 0.84, 1.0])
    assert both == pytest.approx((1.0, 1.0))


def test_a_bright_read_gate_of_the_null_test_is_laser_light_as_well(tmp_path):
    settings = [
        {"procedure": "null_test", "light": light}
        for light in ("look", "laser", "bright laser", "unheralded")
    ]
    path = written(
        tmp_path, "null_test", SEQUENCE,
        [(s, SEQUENCE, 10**6, [150_000] * 2 + [300] * 2, np.full((2, 2), 45)) for s in settings],
    )  # fmt: skip
    campaign, remarks = read_campaign([path], riedinger2018())
    dim, bright = campaign.records
    assert (dim.kind, bright.kind) == ("laser", "laser")
    assert dim.trials == 2 * 10**6  # g²(0) of one gate is measured with the same light
    ratio = bright.setting.e_read[0] / dim.setting.e_read[0]  # soft edges: not quite 500
    assert ratio == pytest.approx(500, rel=0.05)
    assert any("null_test (look)" in remark for remark in remarks)


def test_energies_are_relative_to_the_attenuators_that_are_given(tmp_path):
    setting = {"procedure": "witness", "delta_phi": 0.3, "turn": "theta"}
    block = (setting, SEQUENCE, 10**6, [100, 160, 97, 150], [[1, 5], [6, 2]])
    run = written(tmp_path / "a", "witness", SEQUENCE, [block])
    own, _ = read_campaign([run], riedinger2018())
    assert own.arms == (1.0, 0.7)
    assert own.records[0].setting.e_read == (1.0, 1.0)
    other, _ = read_campaign([run], riedinger2018(), arms=(0.5, 0.7))
    assert other.arms == (0.5, 0.7)
    assert other.records[0].setting.e_read == (2.0, 1.0)


def test_a_run_without_anything_to_infer_from_is_refused(tmp_path):
    path = written(
        tmp_path, "filters", SEQUENCE,
        [({"procedure": "filters"}, SEQUENCE, 10**6, [1, 1, 1, 1], np.zeros((2, 2)))],
    )  # fmt: skip
    with pytest.raises(ValueError, match="must hold good blocks of witness"):
        read_campaign([path], riedinger2018())


@pytest.fixture
def expected_run(tmp_path):
    """A run of 2 × 2e9 trials at θ and θ + π that counts what the model expects."""
    witness = {"procedure": "witness", "delta_phi": 0.6, "delay": 123e-9, "turn": "theta"}
    blocks = []
    for turn, phase in (("theta", 0.6), ("pi", 0.6 - np.pi)):
        sequence = SEQUENCE.with_read_phase(phase)
        values = {name: np.array([value]) for name, value in _centre().items()}
        clicks = probabilities(
            values, Setting(delay=123e-9, delta_phi=phase), reference_delay=123e-9
        )
        found = np.rint(2e9 * clicks.singles[0]).astype(int)
        pairs = np.rint(2e9 * clicks.coincidences[0]).astype(int)
        setting = witness | {"delta_phi": phase, "turn": turn}
        blocks.append((setting, sequence, 2 * 10**9, found, pairs))
    return written(tmp_path, "witness", SEQUENCE.with_read_phase(0.6), blocks), found, pairs


def test_infer_prints_json_that_names_what_is_open_and_writes_its_files(
    expected_run, tmp_path, capsys
):
    path, found, pairs = expected_run
    out, picture = tmp_path / "x.nc", tmp_path / "x.png"
    known = "".join(
        f"{name}_{x}: {{median: {_centre()[f'{name}_{x}']}, sd: 0.1}}\n"
        for name in ("n_0", "p_pump", "p_read", "n_prompt", "b_pump", "n_read")
        for x in "AB"
    )
    (tmp_path / "prior.yaml").write_text(known)
    options = [
        "--draws",
        "4000",
        "-o",
        str(out),
        "--plot",
        str(picture),
        "--fix",
        "splitting=0.5",
        "--fix",
        "contrast=0.95",
        "--fix",
        f"phi={-0.1 * np.pi}",
        "--prior",
        str(tmp_path / "prior.yaml"),
    ]
    assert run(["infer", str(path), *options, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["parameters"]["lifetime_A"]["determined"] is False
    assert plain["parameters"]["dark_rate_1"]["determined"] is True
    assert plain["held"]["splitting"] == 0.5
    g2 = pairs / np.outer(found[2:], found[:2]) * 2e9  # at θ + π: heralds exchanged
    same, crossed = g2[1, 0], g2[0, 0]
    r_m = 4 * (same + crossed - 1) / (same - crossed) ** 2
    predicted = plain["prediction"]["R_m(2)"]
    width = predicted["high"] - predicted["low"]
    assert abs(predicted["median"] - r_m) < 0.25 * width
    assert out.exists()
    assert picture.exists()
    causes = {row["cause"]: row for row in plain["budget"]}
    assert set(causes) == set(SOURCES)
    for row in causes.values():
        assert row["R_m"]["low"] <= row["R_m"]["median"] <= row["R_m"]["high"]
        assert row["trials_3sigma"]["low"] <= row["trials_3sigma"]["median"]
    colder = causes["initial_phonons"]["R_m"]["median"]
    assert colder < plain["prediction"]["R_m"]["median"]
    assert plain["optimum"]["R_m"] < plain["prediction"]["R_m"]["median"]
    assert plain["optimum"]["knobs"]["theta"] == 0.0
    assert {"ess", "draws", "fallback", "seed"} <= set(plain["sampler"])


@pytest.mark.long
def test_budget_of_a_run_stays_in_its_folder(expected_run, capsys, monkeypatch):
    monkeypatch.setattr("labkit.report.run_report.report_of", lambda *_: "")  # it has no tags
    folder = open_run(expected_run[0])
    assert learned_of(folder) is None
    seal_run(folder)
    assert run(["budget", str(folder.path), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    learned = learned_of(folder)
    assert learned.to_dict()["now"]["R_m"] == pytest.approx(printed["now"]["R_m"], rel=1e-6)
    assert learned.p_value > 0.01
    assert "fits the run's data" in learned.fit
    assert [m for m in verify_run(folder.path) if not m.file.startswith("tags/")] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name at least one run folder"),
        (["X", "--fix", "contrast"], "--fix must be NAME=V"),
        (["X", "--g2", "A=7.1"], "--g2 must be DEVICE=MODE,EVENTS"),
        (["--counts", "x.yaml@half"], "counts must be FILE or FILE@RAD"),
    ],
)
def test_infer_refuses_what_it_cannot_read(tmp_path, capsys, arguments, says):
    arguments = [str(tmp_path) if a == "X" else a for a in arguments]
    assert run(["infer", *arguments]) == 1
    assert says in " ".join(capsys.readouterr().err.split())
