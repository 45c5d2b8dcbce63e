import ctypes
import ctypes.util
import sys

import pytest

from instruments.highfinesse_wavemeter import HighFinesseWS7
from instruments.links.vendor_library import load_library
from instruments.nidaq_output import NIDAQOutput
from instruments.picoquant_timeharp260.driver import PicoQuantTimeHarp260
from instruments.picoquant_timeharp260.snapi import PicoQuantSnapi
from instruments.snspd_bias import PhotonSpotBias
from instruments.swabian.timetagger import SwabianTimeTagger


@pytest.mark.parametrize(
    ("package", "make", "remedy"),
    [
        ("pyftdi", lambda: PhotonSpotBias("d", "ftdi://x/1", [1e-6], 1.0), r"-e \'\.\[ftdi\]\'"),
        ("nidaqmx", lambda: NIDAQOutput("d", {}), r"-e \'\.\[nidaq\]\'"),
        ("Swabian", lambda: SwabianTimeTagger("d", 1, [2]), r"-e \'\.\[swabian\]\'"),
        ("snAPI", lambda: PicoQuantSnapi("d", "T2"), r"-e '\.\[snapi\]'"),
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


def test_library_functions_get_their_types():
    name = ctypes.util.find_library("m")
    if name is None:
        pytest.skip("no mathematics library to load on this system")
    library = load_library(name, "libc", {"cos": (ctypes.c_double, [ctypes.c_double])})
    assert library.cos(0.0) == 1.0
