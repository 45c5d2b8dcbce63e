"""The second choices of every role, taken in the station file alone."""

import pytest

from analysis.yamlfile import read_yaml, yaml_text
from labkit.station.config import station_path
from labkit.station.lab import open_lab

SERVO = {"output_min": -1.0, "output_max": 1.0}
FRAME = {"type": "instruments.SRSSIM900", "address": "world:sim900"}
ALTERNATIVES = {
    "lock in a frame": {
        "frame": FRAME,
        "lock": {
            "type": "instruments.SRSSIM960InFrame",
            "init": {"mainframe": "frame", "slot": 1, **SERVO},
        },
    },
    "bias in a frame": {
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
    "lockbox": {
        "lock": {
            "type": "instruments.RedPitayaLockbox",
            "address": "world:lockbox",
            "init": {"input_channel": 1, "output_channel": 1, **SERVO},
        }
    },
    "time tagger": {
        "timeharp": {
            "type": "instruments.SwabianTimeTagger",
            "init": {"library": "world:timetagger", "sync_channel": 1, "input_channels": [2, 3]},
        }
    },
    "voltage source": {
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
}
BENCH = (
    "laser_pump", "laser_read", "afg", "awg", "lock", "timeharp", "bias", "daq", "wavemeter",
    "fridge", "power_meter", "reflection_meter", "sim900", "lockbox", "timetagger", "gs200",
)  # fmt: skip


@pytest.mark.parametrize("choice", ALTERNATIVES)
def test_second_choice_plays_its_role(tmp_path, choice):
    plain = read_yaml(station_path("virtual"))
    plain["labkit"]["world"]["options"] = {"seed": 1, "instruments": list(BENCH)}
    kept = {n: e for n, e in plain["instruments"].items() if n not in ALTERNATIVES[choice]}
    plain["instruments"] = kept | ALTERNATIVES[choice]
    path = tmp_path / "lab.yaml"
    path.write_text(yaml_text(plain), encoding="utf-8")
    with open_lab(path) as lab:
        assert lab.make_safe().all_safe
        assert lab.phase_lock.lock_state() == "off"
        assert lab.tagger.sync_rate() >= 0
        lab.detector_bias.ramp_to(1, 1e-6)
        assert lab.detector_bias.current(1) == pytest.approx(1e-6, abs=1e-9)
        lab.eom_bias.voltage(0.5)
        assert lab.eom_bias.voltage() == pytest.approx(0.5)
        assert lab.make_safe().all_safe
        assert lab.eom_bias.voltage() == 0.0
