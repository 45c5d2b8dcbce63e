"""Bluefors as thermometer: logs across midnight, channels scanned later, a secret key."""

from datetime import datetime, timedelta

import pytest

from instruments import BlueforsControl, BlueforsController, BlueforsLogs
from instruments.roles import Thermometer
from simulation.lab.instruments.bluefors import (
    BlueforsLogFolder,
    SimulatedBlueforsControl,
    SimulatedBlueforsController,
)
from simulation.lab.ports.steady import ThermometerPort
from simulation.lab.servers.tcp import TcpServer

PORT = ThermometerPort(reader={1: 45.0, 2: 3.6, 6: 0.02}.get)


def url(server):
    return f"http://127.0.0.1:{server.port}"


def test_logs_give_the_last_line_of_each_channel():
    with BlueforsLogFolder(PORT) as logs:
        fridge = BlueforsLogs("fridge", logs.address, [1, 6], max_age=60.0)
        assert isinstance(fridge, Thermometer)
        assert fridge.temperature_of(6) == pytest.approx(0.02)
        assert fridge.ch01.temperature() == pytest.approx(45.0)
        with pytest.raises(KeyError, match="must be one of 1, 6, but is 2"):
            fridge.temperature_of(2)


def write_log(folder, moment, text):
    day = f"{moment:%y-%m-%d}"
    (folder / day).mkdir()
    (folder / day / f"CH6 T {day}.log").write_text(text.format(f"{moment:%d-%m-%y,%H:%M:%S}"))


def test_after_midnight_yesterdays_log_counts_if_it_is_fresh(tmp_path):
    now = datetime.now()
    write_log(tmp_path, now - timedelta(days=1), "{0},0.015\n{0},0.0")
    yesterday = BlueforsLogs("fridge", str(tmp_path), [6], max_age=2 * 86_400)
    assert yesterday.temperature_of(6) == 0.015
    strict = BlueforsLogs("strict", str(tmp_path), [6], max_age=60.0)
    with pytest.raises(RuntimeError, match=r"at most 60 s old, but is 86\d\d\d s old"):
        strict.temperature_of(6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{},nan\n", "has nan"),
        ("{},0\n", "has 0"),
        ("{}\n", "cannot be understood"),
        ("", "has None"),
    ],
)
def test_a_log_without_a_valid_reading_is_told(tmp_path, text, message):
    write_log(tmp_path, datetime.now(), text)
    fridge = BlueforsLogs("fridge", str(tmp_path), [6], max_age=60.0)
    with pytest.raises(RuntimeError, match=message):
        fridge.temperature_of(6)


def test_folder_must_be_there(tmp_path):
    with pytest.raises(ValueError, match="`folder` must be a folder of logs"):
        BlueforsLogs("fridge", str(tmp_path / "no"), [6], max_age=60.0)


def test_controller_waits_for_the_channel_that_is_asked_for():
    with TcpServer(SimulatedBlueforsController(PORT)) as server:
        fridge = BlueforsController("fridge", url(server), [2, 5, 6], scan_time=3.0)
        assert fridge.temperature_of(6) == 0.02
        assert fridge.temperature_of(2) == 3.6
        with pytest.raises(RuntimeError, match="sensor 5 must have a valid reading"):
            fridge.temperature_of(5)


def test_control_software_wants_its_key_and_fresh_values(tmp_path):
    key = tmp_path / "key"
    key.write_text("simulated-key\n")
    targets = {6: "mapper.bf.temperatures.tmixing", 1: "mapper.bf.temperatures.nowhere"}
    twin = SimulatedBlueforsControl(PORT)
    with TcpServer(twin) as server:
        fridge = BlueforsControl("fridge", url(server), targets, str(key))
        assert fridge.temperature_of(6) == 0.02
        with pytest.raises(ConnectionError, match="does not answer"):
            fridge.temperature_of(1)
        twin.outdated = True
        with pytest.raises(RuntimeError, match="status SYNCHRONIZED, outdated"):
            fridge.temperature_of(6)
        key.write_text("wrong")
        stranger = BlueforsControl("stranger", url(server), targets, str(key))
        with pytest.raises(ConnectionError) as refused:
            stranger.temperature_of(6)
        assert "wrong" not in str(refused.value)


def test_address_that_is_no_url_and_nobody_there_are_told():
    with pytest.raises(ValueError, match="must begin with http"):
        BlueforsController("fridge", "file:///etc", [6], scan_time=1.0)
    with TcpServer(SimulatedBlueforsController(PORT)) as server:
        gone = url(server)
    with pytest.raises(ConnectionError, match=r"does not answer .*check address and network"):
        BlueforsController("other", gone, [6], scan_time=1.0, timeout=0.5)
