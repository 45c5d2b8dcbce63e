"""The verification kit on the virtual lab: all passes, and a wrong firmware is caught."""

import json

import pytest

from analysis.yamlfile import read_yaml, yaml_text
from instruments.verification import registry
from instruments.verification.benches import BENCHES
from labkit.station.config import read_station_file, station_path
from labkit.station.opening import open_instruments
from labkit.station.verification import verify
from simulation.lab.world import World


@pytest.fixture
def station(tmp_path):
    """A station file of some instruments of the virtual lab, with faults."""

    def write(*names, faults=(), **more):
        plain = read_yaml(station_path("virtual"))
        plain["labkit"]["roles"] = {}
        plain["labkit"]["interlocks"] = []
        plain["labkit"]["world"]["options"] = {
            "seed": 1, "instruments": [*names, *more], "faults": list(faults)
        }  # fmt: skip
        kept = {name: plain["instruments"][name] for name in names if name in plain["instruments"]}
        plain["instruments"] = kept | more
        path = tmp_path / "lab.yaml"
        path.write_text(yaml_text(plain), encoding="utf-8")
        return path

    return write


def findings(out):
    told = json.loads(out)
    return told, {
        (one["name"], finding["check"]): finding
        for one in told["instruments"]
        for finding in one["findings"]
    }


def test_virtual_lab_passes_without_light_or_bias(labkit, tmp_path):
    page = tmp_path / "report.html"
    code, out, _ = labkit("lab", "verify", "virtual", "--json", "-o", page)
    told, found = findings(out)
    assert [key for key, row in found.items() if row["status"] == "failed"] == []
    assert (code, told["failed"], told["virtual"]) == (0, [], True)
    assert "1.57" in found["afg", "phase"]["observed"]
    assert found["laser_pump", "emission"]["status"] == "skipped"
    assert found["snspd", "ramp"]["observed"] == "needs --allow-bias"
    assert found["afg", "output 1"]["observed"] == "OUTP1:STAT? → 0"
    assert json.loads(page.with_suffix(".json").read_text()) == told
    html = page.read_text()
    assert "this verifies no hardware" in html
    assert "Not verified on this firmware before" in html


def test_light_and_bias_are_made_only_if_allowed_and_are_off_after(labkit, station):
    path = station("laser_pump", "bias", snspd={
        "type": "instruments.PhotonSpotBias",
        "init": {"port": "world:bias", "max_currents": [1.5e-5, 1.5e-5], "ramp_rate": 1e-3},
    })  # fmt: skip
    text = path.read_text().replace("- snspd\n", "").replace(", snspd]", "]")
    path.write_text(text)
    code, out, _ = labkit("lab", "verify", path, "--allow-light", "--allow-bias", "--json")
    _, found = findings(out)
    assert code == 0
    assert found["laser_pump", "emission"]["observed"] == "on, then off"
    assert found["snspd", "ramp"]["observed"] == "0, 0.5 µA, 0"


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ({"kind": "stick", "setting": "TRIG:SLOP"}, "set trigger_slope"),
        ({"kind": "refuse", "setting": "TRIG:TIM", "code": -113}, "set trigger_period"),
    ],
)
def test_firmware_that_behaves_otherwise_is_caught(labkit, station, fault, check):
    path = station("afg", faults=[{"instrument": "afg", "count": None} | fault])
    code, out, _ = labkit("lab", "verify", path, "--json")
    told, found = findings(out)
    assert (code, told["failed"]) == (1, ["afg"])
    assert found["afg", check]["status"] == "failed"
    assert found["afg", "identity"]["status"] == "passed"


def test_library_of_a_wrong_version_is_caught(labkit, station, monkeypatch):
    from simulation.lab.instruments.timeharp260 import SimulatedTH260Lib

    def old(self, version):
        version.value = b"3.1"
        return 0

    monkeypatch.setattr(SimulatedTH260Lib, "TH260_GetLibraryVersion", old)
    code, out, _ = labkit("lab", "verify", station("timeharp"))
    assert code == 1
    assert "3.1" in out
    assert "failed: timeharp" in out


def test_only_the_named_instrument_is_checked_and_a_wrong_name_is_told(labkit, station):
    path = station("afg", "fridge")
    _, out, _ = labkit("lab", "verify", path, "--instrument", "fridge", "--json")
    assert [one["name"] for one in json.loads(out)["instruments"]] == ["fridge"]
    code, _, err = labkit("lab", "verify", path, "--instrument", "frige")
    assert (code, "no instrument 'frige'; there are afg, fridge" in err) == (1, True)


def test_new_devices_pass_on_their_twins(labkit, station):
    limits = {"wavelength_limits": [1540e-9, 1568e-9], "wavelength_tolerance": 1e-12}
    path = station(
        dg645={"type": "instruments.SRSDG645", "address": "world:dg645"},
        switch_a={
            "type": "instruments.AgiltronFF", "address": "world:switch_a",
            "init": {"channels": 4, "dark": 4},
        },
        tsl570={
            "type": "instruments.SantecTSL570", "address": "world:tsl570",
            "init": limits | {"max_power": 0.01},
        },
    )  # fmt: skip
    code, out, _ = labkit("lab", "verify", path, "--json")
    told, found = findings(out)
    assert (code, told["problems"]) == (0, {})
    assert "illegal link" in found["dg645", "error"]["observed"]
    assert found["switch_a", "channels"]["observed"] == "1 to 4, then dark (4)"
    assert found["tsl570", "set power"]["status"] == "passed"


def test_report_shows_no_address_of_the_station(station):
    file = read_station_file(station("afg"))
    file.instruments["afg"]["address"] = "TCPIP0::secret.example::INSTR"
    problems = {"afg": "TCPIP0::secret.example::INSTR does not answer"}
    report = verify(file, {}, problems=problems)
    assert report.failed == ("afg",)
    assert "secret" not in str(report.to_plain())


def test_real_instruments_are_not_touched_before_somebody_has_seen_to_them(labkit, tmp_path):
    (tmp_path / "bench_lamps.py").write_text(
        "from qcodes.instrument import Instrument\n\n\nclass BenchLamp(Instrument):\n"
        "    def safe_state(self):\n        pass\n"
    )
    plain = read_yaml(station_path("virtual"))
    del plain["labkit"]["world"]
    plain["labkit"] |= {"roles": {}, "interlocks": []}
    plain["instruments"] = {"lamp": {"type": "bench_lamps.BenchLamp"}}
    path = tmp_path / "lab.yaml"
    path.write_text(yaml_text(plain), encoding="utf-8")
    code, out, err = labkit("lab", "verify", path)
    assert (code, out) == (1, "")
    assert "nobody can be asked whether this holds" in err
    code, out, _ = labkit("lab", "verify", path, "--yes")
    assert "identity" in out


def test_queue_depth_and_lengths_around_the_clock_step_are_recorded(labkit, station):
    code, out, _ = labkit("lab", "verify", station("afg"), "--json")
    _, found = findings(out)
    assert code == 0
    assert found["afg", "queue"]["observed"] == '30 told; the last: -350,"Queue overflow"'
    assert found["afg", "memory"]["observed"] == "16383 → 16383, 16384 → 16384"
    assert found["afg", "unplug"]["observed"] == "needs --by-hand"
    code, _, err = labkit("lab", "verify", station("afg"), "--by-hand")
    assert (code, "nobody can be asked to pull a cable" in err) == (1, True)


@pytest.mark.parametrize("pulled", [True, False])
def test_hands_pull_a_cable_and_wait_for_a_battery(station, pulled):
    path = station(
        "afg",
        frame={"type": "instruments.SRSSIM900", "address": "world:sim900"},
        snspd={
            "type": "instruments.SRSSIM928Bias",
            "init": {
                "mainframe": "frame", "slots": [5, 6], "resistances": [1e5, 1e5],
                "max_currents": [15e-6, 15e-6], "ramp_rate": 1e-3,
            },
        },
    )  # fmt: skip
    file, told = read_station_file(path), []
    names = ["afg", "sim900"]
    with World.start(seed=1, instruments=names) as world:

        def hands(what):
            told.append(what)
            if pulled and "cable" in what:
                world.inject({"instrument": "afg", "kind": "disconnect"})
            elif pulled:
                world.instruments["sim900"].slots[6].switch_battery()

        with open_instruments(file, {**world.addresses, **world.objects}) as instruments:
            report = verify(file, instruments, prompt=hands)
    seen = {
        (one.name, finding.check): finding
        for one in report.instruments
        for finding in one.findings
        if finding.step == "hands"
    }
    assert told[0] == "afg: pull the cable of the link and plug it in again"
    answer = "told TimeoutError" if pulled else "answered"
    assert seen["afg", "unplug"].observed.startswith(f"{answer} after ")
    assert seen["afg", "unplug"].status == "passed"
    battery = seen["snspd", "battery"]
    assert (battery.status, "switched over" in battery.observed) == (
        ("passed", True) if pulled else ("failed", False)
    )


def test_registry_is_empty_until_somebody_with_hardware_reports():
    assert registry.VERIFIED == ()
    assert not registry.was_verified("TektronixAFG3152C", "AFG3152C", "1.0")
    assert all(bench.before for bench in BENCHES.values())
