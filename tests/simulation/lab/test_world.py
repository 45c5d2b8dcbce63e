import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from simulation.lab.bench import BENCH, DAQ_LINES
from simulation.lab.ports.tagger import TaggerSettings
from simulation.lab.world import World

EVERY = ["laser_pump", "laser_read", "afg", "awg", "lock", "timeharp", "bias", "daq", "wavemeter"]


@pytest.fixture
def world() -> Iterator[World]:
    with World.start(seed=1) as running:
        yield running


def ask(address, *lines):
    """Send lines to a SCPI server; return the reply to the last one if it is a query."""
    _, host, port, _ = address.split("::")
    with socket.create_connection((host, int(port)), timeout=5) as link:
        link.sendall("".join(f"{line}\n" for line in (*lines, "*OPC?")).encode())
        stream = link.makefile("r")
        replies = [stream.readline().strip() for line in (*lines, "*OPC?") if "?" in line]
    return replies[0]


def test_standard_instruments_are_reachable(world):
    assert sorted(world.instruments) == sorted(world.addresses | world.objects)
    assert set(EVERY) <= set(world.instruments)
    assert ask(world.addresses["afg"], "*IDN?").startswith("TEKTRONIX,AFG3152C")
    assert "81180A" in ask(world.addresses["awg"], "*IDN?")


def test_constants_of_the_world_are_named_and_checked():
    changed = {"afterpulse": 0.01, "crosstalk": [0.0, 0.1], "splitting": 0.6}
    with World.start(seed=1, instruments=[], parameters=changed) as world:
        found = world.plant.parameters
    assert (found.afterpulse, found.crosstalk, found.splitting) == ((0.01,) * 2, (0.0, 0.1), 0.6)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"afterpulsing": 0.1}, "must name constants of the world, but has afterpulsing"),
        ({"afterpulse": 1.1}, r"`afterpulse` of the world must lie in \[0, 1\]"),
        ({"arm_drift": -0.1}, "`arm_drift` of the world must be ≥ 0"),
        ({"modulator_sign": 0.5}, "`modulator_sign` must be 1 or -1"),
        ({"period": 0.0}, "`period` and `slow_drift_time` must be > 0 s"),
        ({"splitting": 1.0, "read_splitting": 0.5}, "`splitting` must lie between 0 and 1 if"),
    ],
)
def test_impossible_constants_are_refused(changed, said):
    with pytest.raises(ValueError, match=said):
        World.start(parameters=changed)


def test_protocol_reaches_the_plant_and_nothing_else_does(world):
    assert world.plant.operating_point().others == ()
    ask(
        world.addresses["afg"],
        "SOUR1:FUNC PULS",
        "TRIG:SOUR EXT",
        "SOUR1:BURS:STAT ON",
        "SOUR1:BURS:NCYC 1",
        "SOUR1:PULS:WIDT 40ns",
        "SOUR1:BURS:TDEL 300ns",
        "SOUR1:VOLT:LOW 0",
        "SOUR1:VOLT:HIGH 0.2",
        "OUTP1:STAT ON",
    )
    assert world.wiring.aom_drive[1].drive.shape.high == pytest.approx(0.2)
    assert len(world.plant.operating_point().others) == 1


def test_daq_lines_drive_the_actuators(world):
    card = world.objects["daq"]
    line = next(line for line, name in DAQ_LINES.items() if name == "attenuator_b")
    task = card.Task()
    task.ao_channels.add_ao_voltage_chan(line, min_val=0, max_val=5)
    task.write(1.5, auto_start=True)
    assert world.wiring.actuator["attenuator_b"].voltage == pytest.approx(1.5, abs=1e-3)


def test_same_seed_same_world():
    drifts = []
    for seed in (3, 3, 4):
        with World.start(seed=seed, instruments=["timeharp"]) as world:
            world.clock.advance(60.0)
            drifts.append(world.plant.interferometer.phase)
    assert drifts[0] == drifts[1] != drifts[2]


def test_all_alternatives_can_stand_on_the_bench():
    with World.start(instruments=BENCH) as world:
        ports = {f"{name}_port" for name in BENCH if BENCH[name].link in ("socket", "port", "http")}
        assert set(world.addresses | world.objects) == {*BENCH, *ports}


def test_stop_frees_ports_and_threads():
    before = set(threading.enumerate())
    world = World.start()
    address = world.addresses["afg"]
    world.stop()
    world.stop()
    assert set(threading.enumerate()) <= before
    with pytest.raises(OSError, match=r"refused|reset|closed"):
        ask(address, "*IDN?")


def test_faults_reach_instruments_and_plant():
    faults = [
        {"instrument": "afg", "kind": "error", "code": -222},
        {"kind": "warm_cryostat", "at": 5.0, "value": 1.0},
    ]
    with World.start(faults=faults) as world:
        world.clock.advance(4.0)
        assert world.wiring.thermometer.temperature(6) == 0.06
        world.clock.advance(2.0)
        assert world.wiring.thermometer.temperature(6) == 1.0
        assert ask(world.addresses["afg"], "SYST:ERR?").startswith("-222")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"instruments": ["afg", "teapot"]}, "but has teapot"),
        ({"faults": [{"instrument": "teapot", "kind": "silence"}]}, "but is 'teapot'"),
        ({"faults": [{"kind": "silence"}]}, "`kind` must be one of lock_loss"),
    ],
)
def test_unknown_names_are_refused_and_nothing_stays_open(options, said):
    before = set(threading.enumerate())
    with pytest.raises(ValueError, match=said):
        World.start(**options)
    assert set(threading.enumerate()) <= before


def test_clients_talk_while_the_tagger_records(world):
    errors = []

    def talk():
        try:
            for _ in range(50):
                ask(world.addresses["afg"], "SOUR1:VOLT:HIGH 0.3", "SYST:ERR?")
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=talk)
    world.wiring.tagger.start(TaggerSettings(mode="T2"), 60.0)
    thread.start()
    records = []
    while world.wiring.tagger.running():
        records.append(world.wiring.tagger.records(1 << 17))
    thread.join()
    assert not errors
    assert np.all(np.concatenate(records) >= 0)
