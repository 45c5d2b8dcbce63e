"""Short names of drivers, the table behind them, and what importing costs."""

import subprocess
import sys
from importlib import import_module

import pytest

import instruments
from instruments import tektronix_afg3152c


@pytest.mark.parametrize("name", instruments.DRIVERS)
def test_short_name_is_the_class_of_its_module(name):
    driver = getattr(instruments, name)
    assert driver.__name__ == name
    assert driver is getattr(import_module(instruments.DRIVERS[name]), name)
    assert name in dir(instruments)


@pytest.mark.parametrize("name", ["Teapot", "ThorlabsPM100"])
def test_the_room_of_a_device_gives_its_own_driver_only(name):
    assert tektronix_afg3152c.TektronixAFG3152C is instruments.TektronixAFG3152C
    with pytest.raises(AttributeError, match=f"'instruments.tektronix_afg3152c' .* {name!r}"):
        getattr(tektronix_afg3152c, name)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Teapot'"):
        _ = instruments.Teapot


def test_names_roles_and_limits_need_no_qcodes():
    code = """
import sys
import instruments, instruments.roles
import instruments.keysight_81180a.waveform, instruments.tektronix_afg3152c.limits
import labkit.compiler
assert not {"qcodes", "pyvisa"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
