import ctypes
import ctypes.util
import sys
from types import ModuleType, SimpleNamespace

import pytest

from instruments.highfinesse_wavemeter import HighFinesseWS7
from instruments.nidaq_output import NIDAQOutput
from instruments.picoquant_snapi import PicoQuantSnapi
from instruments.picoquant_timeharp260 import PicoQuantTimeHarp260
from instruments.snspd_bias import PhotonSpotBias
from instruments.swabian_timetagger import SwabianTimeTagger
from instruments.vendor_library import load_library, referred
from simulation.lab.devices.timeharp260 import SimulatedTH260Lib


@pytest.mark.parametrize(
    ("package", "make", "remedy"),
    [
        ("pyftdi", lambda: PhotonSpotBias("d", "ftdi://x/1", [1e-6], 1.0), r"labkit\[ftdi\]"),
        ("nidaqmx", lambda: NIDAQOutput("d", {}), r"labkit\[nidaq\]"),
        ("Swabian", lambda: SwabianTimeTagger("d", 1, [2]), r"labkit\[swabian\]"),
        ("snAPI", lambda: PicoQuantSnapi("d", "T2"), "pip install snAPI"),
    ],
)
def test_missing_optional_package_names_the_remedy(monkeypatch, package, make, remedy):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=f"{package}.* must be installed.*{remedy}"):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: PicoQuantTimeHarp260("d", "no-such.lib", "T3"),
        lambda: HighFinesseWS7("d", "no-such.lib"),
    ],
)
def test_missing_library_is_named(make):
    with pytest.raises(OSError, match=r"'no-such\.lib', but is not .* install the software of"):
        make()


def test_reference_in_a_station_file_names_an_object(monkeypatch):
    station = ModuleType("my_station")
    station.world = SimpleNamespace(tagger=SimulatedTH260Lib())
    monkeypatch.setitem(sys.modules, "my_station", station)
    device = PicoQuantTimeHarp260("d", "python:my_station:world.tagger", "T3")
    assert device.get_idn()["serial"] == "SIM0001"
    assert referred("th260lib64.dll") == "th260lib64.dll"


@pytest.mark.parametrize(
    ("reference", "error"),
    [
        ("python:sys", ValueError),
        ("python:sys:nothing_there", AttributeError),
        ("python:no_such_module:x", ModuleNotFoundError),
    ],
)
def test_reference_to_nothing_is_an_error(reference, error):
    with pytest.raises(error, match=r"python:sys|nothing_there|no_such_module"):
        referred(reference)


def test_library_functions_get_their_types():
    name = ctypes.util.find_library("m")
    if name is None:
        pytest.skip("no mathematics library to load on this system")
    library = load_library(name, "libc", {"cos": (ctypes.c_double, [ctypes.c_double])})
    assert library.cos(0.0) == 1.0
