"""Tag files tell drifts by themselves, whatever their user declares."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from analysis.tagfile.events import Events
from analysis.tagfile.ptu_writer import write_ptu
from analysis.witness import largest_separable
from labkit.cli import tags
from simulation.recordings.pulses import pulsed_timing

GATES = pulsed_timing().gates
PERIOD, BIN = 50e-6, 250e-12
TRIALS, RATE = 4_000_000, 6e-3
DECLARED = {
    "splitting": 0.503, "splitting_error": 0.003, "pump_balance": 0.02, "read_balance": 0.1,
    "device_ratio": 1.5, "background": 0.3, "fringe_period_pi": 1.95, "fringe_period_error_pi": 0.1,
    "null_blindness_upper": 0.0, "null_crosstalk_upper": 0.0,
}  # fmt: skip
ASSUMED = [f"--assume={name}={value}" for name, value in DECLARED.items()]


def clicks(rng, first, trials, brightness, same, crossed):
    """Clicks of pulsed light of these g², as (trials, gate, channels)."""
    rate = RATE * brightness
    for detector in (0, 1):
        pump = first + rng.integers(0, trials, rng.poisson(trials * rate))
        yield pump, "pump", detector
        read = first + rng.integers(0, trials, rng.poisson(trials * rate))
        yield read, "read", detector
        for other in (0, 1):
            excess = (same if other == detector else crossed) - 1.0
            yield pump[rng.random(len(pump)) < rate * excess], "read", other


def write(path, parts):
    gates = {gate.name: gate for gate in GATES.gates}
    trial, dtime, channel = [], [], []
    for trials, name, detector in parts:
        trial.append(trials)
        middle = (gates[name].start + gates[name].stop) / 2
        dtime.append(np.full(len(trials), round(middle / BIN), np.int32))
        channel.append(np.full(len(trials), detector, np.uint8))
    trial, dtime, channel = map(np.concatenate, (trial, dtime, channel))
    order = np.lexsort((dtime, trial))
    events = Events(
        time=trial[order].astype(np.int64), dtime=dtime[order], channel=channel[order]
    )  # fmt: skip
    write_ptu(path, events, sync_period=PERIOD, acquisition_time=TRIALS * PERIOD)
    path.with_name(path.stem + ".gates.yaml").write_text(GATES.to_yaml())


def verdict(labkit, *words):
    return json.loads(labkit("analyse", *words, *ASSUMED, "--json")[1])["verdict"]


@pytest.fixture
def halves(tmp_path):
    """Return a function that writes two halves of a recording, into one file or two."""

    def make(swing, same, crossed, *, files):
        rng, half = np.random.default_rng(4), TRIALS // 2
        paths = [tmp_path / f"{number}.ptu" for number in range(files)]
        for number, path in enumerate(paths):
            chosen = (0, 1) if files == 1 else (number,)
            parts = [
                part for i in chosen
                for part in clicks(rng, half * i, half, 1 + swing * (-1) ** i, same, crossed)
            ]  # fmt: skip
            write(path, parts)
        return paths

    return make


@pytest.mark.parametrize("files", [1, 2])
def test_separable_light_whose_power_drifts_is_not_entangled(labkit, halves, files):
    """R = 1 at each power, R = 0.71 of the sum: coincidences go with its square."""
    paths = halves(0.7, 1.0, float(largest_separable(1.0)), files=files)
    found = verdict(labkit, *paths)
    assert found["reasons"] == ["shifted trials g2 > 1"]
    assert found["R"]["high"] < 0.9
    if files == 1:
        assert verdict(labkit, *paths, "--to", 1e9)["reasons"] == ["shifted trials g2 > 1"]


def test_steady_entangled_light_is_found_and_its_trials_are_shifted(labkit, halves):
    found = verdict(labkit, *halves(0.0, 1.1, 8.5, files=1))
    assert found["decision"] == "entangled"
    assert found["conditions"]["null_shuffled"]["source"] == "this run"


def test_files_whose_trials_nobody_can_shift_withhold_the_word(labkit, halves, monkeypatch):
    ask, of_t2 = tags._shifted, SimpleNamespace(layout=SimpleNamespace(mode="T2"))
    monkeypatch.setattr(
        tags, "_shifted", lambda _, counts, whole: ask([of_t2], counts, whole=whole)
    )
    found = verdict(labkit, *halves(0.0, 1.1, 8.5, files=1))
    assert found["decision"] == "conditions not met"
    assert found["reasons"] == ["not measured: null_shuffled"]
