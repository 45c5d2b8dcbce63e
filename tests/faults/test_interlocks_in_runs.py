"""Interlocks stop a run before and within it, can be forced, and are the same at both labs."""

import pytest

from labkit.experiment import read_experiment, run_experiment
from labkit.station.config import read_station_file

pytestmark = pytest.mark.long

WARM = {"kind": "warm_cryostat"}


def test_both_stations_have_the_same_interlocks():
    virtual, real = (read_station_file(name).config for name in ("virtual", "example"))
    assert virtual.interlocks == real.interlocks
    assert [rule.name for rule in virtual.interlocks] == [
        "cold", "detectors cold", "loads declared", "shut for steady pump light",
        "shut for steady read light",
    ]  # fmt: skip


def test_warm_cryostat_stops_a_run_before_it_begins(short_run):
    found = short_run(WARM, when="switching on")
    found.check()
    assert "interlock 'cold'" in found.folder.manifest().reason
    assert found.unsafe_ports() == {}
    assert found.folder.journal.read() == []


def test_block_in_which_the_cryostat_got_warm_is_left_out_and_ends_the_run(short_run):
    found = short_run({"kind": "warm_cryostat", "at": 10.0})
    found.check()
    assert found.unsafe_ports() == {}
    assert [block.good for block in found.folder.journal.read()][-2:] == [True, False]
    assert found.left_out[0].startswith("interlock 'cold': 0.001 <= fridge.ch06.temperature")


def test_interlocks_are_checked_while_a_block_is_recorded(short_run):
    found = short_run({"kind": "warm_cryostat", "at": 10.0}, block=10_000_000)
    last = found.folder.journal.read()[-1]
    assert "interlock 'cold'" in last.reason
    assert last.counts.trials.number < 10_000_000


def test_forced_interlock_lets_the_run_go_on(short_run):
    found = short_run(WARM, when="switching on", forced=("cold",), blocks=2)
    found.check()
    assert found.error is None


def test_unknown_interlock_cannot_be_forced(tmp_path, quick_station, worlds):
    lock = read_experiment("lock")
    with pytest.raises(ValueError, match="no interlock 'warm' to force; there are cold, detectors"):
        run_experiment(lock, quick_station, tmp_path, forced=("warm",))
    assert worlds == []


DARK = {
    "fridge.ch06.temperature": 0.06, "fridge.ch02.temperature": 3.6, "afg.ch1.load": 50.0,
    "afg.ch2.load": 50.0, "afg.ch1.output": 0.0, "afg.ch1.burst": 0.0, "afg.ch2.output": 0.0,
    "afg.ch2.burst": 0.0, "voa_a.transmission": 1.0, "voa_b.transmission": 1.0,
    "snspd.channel1.current": 0.0, "snspd.channel2.current": 0.0,
}  # fmt: skip
"""Both attenuators open, no detector biased, no drive on."""


@pytest.mark.parametrize("detector", [1, 2])
@pytest.mark.parametrize(("channel", "light"), [(1, "pump"), (2, "read")])
@pytest.mark.parametrize("arm", ["a", "b"])
def test_attenuators_open_on_biased_detectors_for_pulses_only(detector, channel, light, arm):
    """Any detector, any light, any arm alone is enough."""
    from labkit.station.interlocks import violations

    rules = read_station_file("virtual").config.interlocks
    other = "b" if arm == "a" else "a"
    steady = DARK | {
        f"snspd.channel{detector}.current": 1e-6, f"afg.ch{channel}.output": 1.0,
        f"voa_{other}.transmission": 1e-4,
    }  # fmt: skip
    assert set(violations(rules, steady.__getitem__)) == {f"shut for steady {light} light"}
    for repair in (
        {f"afg.ch{channel}.burst": 1.0},
        {f"afg.ch{channel}.output": 0.0},
        {f"snspd.channel{detector}.current": 0.0},
        {f"voa_{arm}.transmission": 1e-4},
    ):
        assert violations(rules, (steady | repair).__getitem__) == {}


@pytest.mark.parametrize("channel", [1, 2])
def test_either_load_must_be_declared(channel):
    from labkit.station.interlocks import violations

    rules = read_station_file("virtual").config.interlocks
    text = violations(rules, (DARK | {f"afg.ch{channel}.load": 1e6}).__getitem__)
    assert f"but afg.ch{channel}.load is 1e+06" in text["loads declared"]


def test_unknown_bias_counts_as_biased():
    from math import nan

    from labkit.station.interlocks import InterlockError, check_interlocks

    rules = [
        r for r in read_station_file("virtual").config.interlocks if r.name == "detectors cold"
    ]
    values = {"snspd.channel1.current": 0.0, "snspd.channel2.current": nan,
              "fridge.ch02.temperature": 77.0}  # fmt: skip
    with pytest.raises(InterlockError, match="detectors cold"):
        check_interlocks(rules, values.__getitem__)
    with pytest.raises(InterlockError, match="but it is not known"):
        check_interlocks(rules, (values | {"fridge.ch02.temperature": nan}).__getitem__)
