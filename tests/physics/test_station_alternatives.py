"""The second choices of every role, taken in the station file alone, measure to a verdict."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from analysis.yamlfile import read_yaml, yaml_text
from labkit.procedures.witness import WitnessOptions, witness
from labkit.run import Goal
from labkit.station.config import station_path

pytestmark = pytest.mark.long

SERVO = {"output_min": -1.0, "output_max": 1.0}
FRAME = {"type": "instruments.SRSSIM900", "address": "world:sim900"}
TRIALS = 4_000_000
STANDARD = (
    *("laser_pump", "laser_read", "afg", "awg", "lock", "timeharp", "bias", "daq"),
    *("wavemeter", "fridge", "power_meter", "reflection_meter"),
)


@dataclass(kw_only=True)
class Choice:
    """What differs from the virtual lab's station file."""

    bench: tuple[str, ...]
    instruments: dict
    channels: dict = field(default_factory=dict)
    interlocks: dict = field(default_factory=dict)
    working_point: dict = field(default_factory=dict)
    dropped: str = "-"
    world: dict = field(default_factory=dict)
    lock_range: float = 10.0


ALTERNATIVES = {
    "lock in a frame": Choice(
        bench=("sim900",),
        instruments={
            "frame": FRAME,
            "lock": {
                "type": "instruments.SRSSIM960InFrame",
                "init": {"mainframe": "frame", "slot": 1, "output_min": -10.0, "output_max": 10.0},
            },
        },
    ),
    "bias in a frame": Choice(
        bench=("sim900",),
        instruments={
            "frame": FRAME,
            "snspd": {
                "type": "instruments.QuantumOpusBias",
                "init": {
                    "mainframe": "frame",
                    "slots": [3, 4],
                    "max_currents": [15e-6, 15e-6],
                    "ramp_rate": 1e-3,
                },
            },
        },
    ),
    "SIM928, PicoHarp 330, Bluefors by HTTP": Choice(
        bench=("sim900", "picoharp", "bluefors_controller"),
        instruments={
            "frame": FRAME,
            "snspd": {
                "type": "instruments.SRSSIM928Bias",
                "init": {
                    "mainframe": "frame",
                    "slots": [5, 6],
                    "resistances": [100e3, 100e3],
                    "max_currents": [15e-6, 15e-6],
                    "ramp_rate": 1e-3,
                },
            },
            "timeharp": {
                "type": "instruments.PicoQuantPicoHarp330",
                "init": {"library": "world:picoharp", "mode": "T3"},
            },
            "fridge": {
                "type": "instruments.BlueforsController",
                "address": "world:bluefors_controller",
                "init": {"channels": [2, 6], "scan_time": 10.0},
            },
        },
        working_point={
            "timeharp.input3.enabled": False,
            "timeharp.input4.enabled": False,
            "timeharp.resolution": 2.048e-9,
        },
    ),
    "lockbox": Choice(
        bench=("lockbox",),
        instruments={
            "lock": {
                "type": "instruments.RedPitayaLockbox",
                "address": "world:lockbox",
                "init": {"input_channel": 1, "output_channel": 1, **SERVO},
            }
        },
        dropped="lock.",
        working_point={
            "lock.proportional_gain": 0.01,
            "lock.integral_rate": 200.0,
            "lock.inverted": True,
        },
        world={"stretcher": 20.0},  # an amplifier of 10 behind the box's ±1 V
        lock_range=1.0,
    ),
    "time tagger": Choice(
        bench=("timetagger",),
        instruments={
            "timeharp": {
                "type": "instruments.SwabianTimeTagger",
                "init": {
                    "library": "world:timetagger",
                    "sync_channel": 1,
                    "input_channels": [2, 3],
                },
            }
        },
    ),
    "snAPI": Choice(
        bench=("snapi",),
        instruments={
            "timeharp": {
                "type": "instruments.PicoQuantSnapi",
                "init": {"library": "world:snapi", "mode": "T3"},
            }
        },
    ),
    "voltage source": Choice(
        bench=("gs200",),
        instruments={
            "gs200": {
                "type": "qcodes.instrument_drivers.yokogawa.YokogawaGS200",
                "address": "world:gs200",
                "init": {"device_clear": False},
            },
            "eom_bias": {
                "type": "instruments.VoltageActuator",
                "init": {
                    "source": "gs200.voltage",
                    "minimum": -1.0,
                    "maximum": 1.0,
                    "slew_rate": 1e3,
                    "rest": 0.0,
                },
            },
        },
        dropped="eom_bias.",
        working_point={"gs200.output": "on", "eom_bias.voltage": 0.0},
    ),
    "Triton": Choice(
        bench=("triton",),
        instruments={
            "fridge": {
                "type": "instruments.OxfordTritonThermometer",
                "address": "world:triton",
            }
        },
        interlocks={"fridge.ch06.temperature": "fridge.MC", "fridge.ch02.temperature": "fridge.T2"},
    ),
}


def write_station(folder, choice):
    """Write the station file; return it and the instruments of its bench."""
    plain = read_yaml(station_path("virtual"))
    section = plain["labkit"]
    point = section["working_point"]["parameters"]
    kept = {path: value for path, value in point.items() if not path.startswith(choice.dropped)}
    section["working_point"]["parameters"] = choice.working_point | kept
    section["lock_range"] = choice.lock_range
    for interlock in section["interlocks"]:
        named = interlock["require"]["parameter"]
        if isinstance(named, str):
            interlock["require"]["parameter"] = choice.interlocks.get(named, named)
    sources = {n: e for n, e in choice.instruments.items() if n not in plain["instruments"]}
    plain["instruments"] = sources | plain["instruments"] | choice.instruments
    path = folder / "lab.yaml"
    path.write_text(yaml_text(plain), encoding="utf-8")
    return path, (*STANDARD, *choice.bench)


@pytest.mark.parametrize("name", ALTERNATIVES)
def test_second_choice_measures_to_a_verdict_as_the_model_says(tmp_path, dry_lab, quiet, name):
    """4 million trials: every count within 5 σ of the model's, R_m near the model's."""
    choice = ALTERNATIVES[name]
    station, instruments = write_station(tmp_path, choice)
    with dry_lab(
        tmp_path, parameters=quiet | choice.world, station=station, instruments=instruments
    ) as lab:
        lab.at_best_phase()
        assert lab.lab.phase_lock.lock_state() == "locked"
        singles, pairs = lab.expected(TRIALS)
        options = WitnessOptions(goal=Goal(trials=TRIALS), block=TRIALS, as_published=True)
        evaluation = witness(lab.session, lab.sequence, options).evaluation
        counts = evaluation.counts
        assert np.all(np.abs(counts.singles.reshape(4) - singles) < 5 * np.sqrt(singles))
        assert np.all(np.abs(counts.pairs[2:, :2] - pairs) < 5 * np.sqrt(pairs))
        assert evaluation.undefined == {}
        assert 0 < evaluation.witness.sym.mode < 1
        assert evaluation.verdict.decision
        assert lab.lab.make_safe().all_safe
        assert lab.lab.phase_lock.lock_state() == "off"
