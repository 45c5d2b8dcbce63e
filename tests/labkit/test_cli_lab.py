"""``labkit lab`` as a new user meets it: check, start, station; and the files that it hands out."""

import json
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
from qcodes.instrument import Instrument
from qcodes.station import Station

from analysis.yamlfile import read_yaml, yaml_text
from labkit.station.config import read_station_file, station_path
from labkit.station.references import resolve
from simulation.lab.world import World

ROOT = Path(__file__).parents[2]
LIMITS = {"slew_rate", "ramp_rate", "settling_time"}
ADDRESSES = {"address", "library", "port"}


@pytest.fixture(autouse=True)
def _close_instruments():
    yield
    Instrument.close_all()


@pytest.fixture
def edited(tmp_path):
    """A copy of the virtual lab's file with a text replaced."""

    def write(old, new):
        text = station_path("virtual").read_text(encoding="utf-8")
        assert old in text
        path = tmp_path / "lab.yaml"
        path.write_text(text.replace(old, new), encoding="utf-8")
        return path

    return write


def test_check_of_the_virtual_lab_tells_identities_and_limits(labkit):
    code, out, _ = labkit("lab", "check", "--json")
    told = json.loads(out)
    assert (code, told["problems"], told["safe"]) == (0, [], True)
    serials = [told["instruments"][f"laser_{name}"]["serial"] for name in ("pump", "read")]
    assert serials == ["SN1012", "SN1013"]
    assert told["limits"]["laser_pump.wavelength"] == {
        "lowest": 1.54e-6, "highest": 1.568e-6, "unit": "m"
    }  # fmt: skip
    assert told["limits"]["snspd.channel1.current"]["highest"] == 15e-6
    assert told["limits"]["afg.ch1.high"]["highest"] == 1.0


def test_check_as_text_shows_limits_if_asked_and_ends_well(labkit):
    code, out, _ = labkit("lab", "check", "--limits")
    assert code == 0
    assert "laser_pump.wavelength" in out
    assert "laser_pump.wavelength" not in labkit("lab", "check")[1]
    assert "no problems; every instrument is in its safe state" in out


def test_check_tells_all_that_cannot_be_opened_and_makes_the_others_safe(labkit, edited):
    swapped = edited("address: 'world:afg'", "address: 'world:power_meter'")
    text = swapped.read_text(encoding="utf-8")
    text = text.replace("'world:power_meter'\n    init", "'world:awg'\n    init", 1)
    text = text.replace("{peak_limit: 0.65}", "{memory_points: 1000}").replace(
        "    address: 'world:awg'\n    init: {mem", "    address: 'world:nobody'\n    init: {mem"
    )
    swapped.write_text(text, encoding="utf-8")
    code, out, _ = labkit("lab", "check", swapped, "--json")
    told = json.loads(out)
    assert (code, told["safe"]) == (1, True)
    afg, awg = told["problems"]
    assert "'afg'" in afg
    assert "must identify itself as" in afg
    assert "correct the address" in afg
    assert "the world has no 'nobody'" in awg
    assert "laser_pump" in told["instruments"]


def test_unsafe_is_told_by_the_exit_code_though_nobody_reads(labkit, monkeypatch):
    def reader_left(*_):
        raise SystemExit(0)

    unsafe = SimpleNamespace(all_safe=False, failed={"afg": "no answer"})
    monkeypatch.setattr("labkit.station.lab.Lab.make_safe", lambda _: unsafe)
    monkeypatch.setattr("labkit.cli.lab._show_instruments", reader_left)
    assert labkit("lab", "check")[0] == 3


UNREACHABLE = """\
import sys
from labkit.cli import main

sys.argv = ["labkit", "lab", "check", sys.argv[1]]
main()
"""


def test_check_of_an_unreachable_lab_is_one_line_each_and_each_reason_once(tmp_path):
    path = tmp_path / "lab.yaml"
    text = station_path("example").read_text(encoding="utf-8").replace("192.0.2.", "127.0.0.")
    path.write_text(text, encoding="utf-8")
    command = [sys.executable, "-c", UNREACHABLE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (1, "")
    for name in read_station_file(path).instruments:
        assert sum(line.startswith(f"│ {name} ") for line in done.stdout.splitlines()) == 1
    problems = [line for line in done.stdout.splitlines() if line.startswith("problem: ")]
    assert len(problems) == len(set(problems))
    assert "problem: wavemeter, wavemeter_read: " in done.stdout
    assert "waits for daq" in done.stdout
    assert not [line for line in problems if "voa_a" in line]


def test_missing_limit_and_shared_output_are_named(labkit, edited):
    code, out, _ = labkit("lab", "check", edited("{peak_limit: 0.65}", "{}"), "--json")
    assert (code, "`init` must give peak_limit" in json.loads(out)["problems"][0]) == (1, True)
    code, _, err = labkit("lab", "check", edited("daq.voa_b.voltage", "daq.voa_a.voltage"))
    assert code == 1
    assert "'voa_a' and 'voa_b' must have different addresses" in err


@pytest.mark.parametrize(("options", "first"), [([], "virtual"), (["--example"], "example")])
def test_station_writes_a_file_that_reads_back_and_never_overwrites(
    labkit, tmp_path, options, first
):
    path = tmp_path / "lab.yaml"
    assert labkit("new", "station", path, *options)[0] == 0
    assert read_station_file(path).instruments == read_station_file(first).instruments
    code, _, err = labkit("new", "station", path, *options)
    assert (code, "exists; choose another name" in err) == (1, True)


def differing(one, other, path=()):
    """Return the paths at which two plain values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = one.keys() | other.keys()
        return {p for key in keys for p in differing(one.get(key), other.get(key), (*path, key))}
    return set() if one == other else {path}


def test_real_and_virtual_station_differ_in_addresses_and_limits_only():
    virtual, real = (read_yaml(station_path(name)) for name in ("virtual", "example"))
    del virtual["labkit"]["world"]
    assert virtual["labkit"] == real["labkit"]
    changed = differing(virtual["instruments"], real["instruments"])
    assert {path[-1] for path in changed} <= ADDRESSES | LIMITS


def without_labkit(name, target, world=None):
    plain = read_yaml(station_path(name))
    del plain["labkit"]
    if world is not None:
        plain = resolve(plain, world.addresses, {})
    target.write_text(yaml_text(plain), encoding="utf-8")
    return str(target)


@pytest.mark.parametrize("name", ["virtual", "example"])
def test_instruments_part_is_a_valid_qcodes_station_file(tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        station = Station(config_file=without_labkit(name, tmp_path / "s.yaml"))
    assert {"afg", "laser_pump", "filter_2b"} <= set(station._config["instruments"])


def test_qcodes_itself_loads_instruments_of_the_virtual_station(tmp_path):
    with World.start(seed=1) as world:
        path = tmp_path / "s.yaml"
        plain = read_yaml(station_path("virtual"))
        wired = {
            name: entry | {"address": world.addresses[entry["address"].removeprefix("world:")]}
            for name, entry in plain["instruments"].items()
            if str(entry.get("address", "")).removeprefix("world:") in world.addresses
        }
        path.write_text(yaml_text({"instruments": wired}), encoding="utf-8")
        station = Station(config_file=str(path))
        for name in wired:
            station.load_instrument(name)
        assert set(wired) == {
            "afg",
            "awg",
            "lock",
            "fridge",
            "power_meter",
            "reflection_meter",
        }
        assert station.components["afg"].ch1.load() == 50.0
        Instrument.close_all()


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGTERM")
def test_served_lab_answers_other_programs_and_ends_quietly(tmp_path):
    import pyvisa

    target = tmp_path / "addresses.json"
    code = "from labkit.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "lab", "start", "-o", str(target)],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
        stdout=subprocess.PIPE,
    ) as server:  # fmt: skip
        try:
            assert server.stderr.readline().strip() == "serving until Ctrl-C"
            address = json.loads(target.read_text(encoding="utf-8"))["afg"]
            manager = pyvisa.ResourceManager("@py")
            client = manager.open_resource(address, read_termination="\n", write_termination="\n")
            assert client.query("*IDN?").startswith("TEKTRONIX,AFG3152C,")
            client.close()
            manager.close()
        finally:
            server.send_signal(signal.SIGTERM)
            _, said = server.communicate(timeout=20)
    assert (server.returncode, said.strip()) == (0, "stopped")


def test_real_station_has_nothing_to_serve(labkit):
    code, _, err = labkit("lab", "start", "example")
    assert (code, "nothing to serve" in err) == (1, True)


def state_of(world):
    """Return all that instruments have told the world, and their own settings."""
    wiring = world.wiring
    return {
        "lasers": {name: port.state for name, port in wiring.laser.items()},
        "actuators": {name: port.voltage for name, port in wiring.actuator.items()},
        "lock": wiring.lock.settings,
        "settings": {
            name: dict(device.values)
            for name, device in world.instruments.items()
            if hasattr(device, "values")
        },
        "outputs": [
            port.drive for port in (*wiring.aom_drive.values(), *wiring.eom_drive.values())
        ],
    }


def test_snapshot_of_the_whole_lab_changes_nothing(monkeypatch):
    from labkit.station.lab import open_lab

    worlds, start = [], World.start
    monkeypatch.setattr(
        World,
        "start",
        classmethod(lambda _, **options: worlds.append(start(**options)) or worlds[0]),
    )
    with open_lab("virtual") as lab:
        before = state_of(worlds[0])
        for instrument in lab.instruments.values():
            instrument.snapshot(update=True)
        assert state_of(worlds[0]) == before
        assert {"afg", "awg", "lock"} <= before["settings"].keys()
