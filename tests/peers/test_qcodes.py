"""QCoDeS's own drivers, and those of its contributors."""

import numpy as np
import pytest
from qcodes.instrument_drivers.Keithley import Keithley2450, Keithley6500
from qcodes.instrument_drivers.Keysight import Keysight33511B
from qcodes.instrument_drivers.Lakeshore import LakeshoreModel372
from qcodes.instrument_drivers.oxford import OxfordTriton
from qcodes.instrument_drivers.stahl import Stahl
from qcodes.instrument_drivers.tektronix import TektronixAWG5014
from qcodes.instrument_drivers.yokogawa import YokogawaGS200
from qcodes_contrib_drivers.drivers.Tektronix.AFG3000 import AFG3000

contributed = pytest.mark.peer("qcodes_contrib_drivers", "AFG3000", "AFG3152C", bench="afg")


@pytest.mark.peer("qcodes", "YokogawaGS200", "GS200", bench="gs200")
def test_voltage_and_current_source(address):
    source = YokogawaGS200("source", address, terminator="\n", visalib="@py", device_clear=False)
    assert source.get_idn()["model"] == "GS210"
    source.source_mode("VOLT")
    source.voltage_range(10)
    source.output("on")
    source.voltage(1.5)
    assert (source.output(), source.voltage()) == ("on", 1.5)
    source.ramp_voltage(2.0, 0.25, 0.0)
    assert source.voltage() == pytest.approx(2.0)
    source.output("off")
    source.source_mode("CURR")
    source.current_range(1e-3)
    source.current(5e-4)
    assert source.current() == pytest.approx(5e-4)
    source.source_mode("VOLT")
    assert len(source.snapshot(update=True)["parameters"]) > 5


@pytest.mark.peer("qcodes", "LakeshoreModel372", "Lake Shore 372", bench="fridge")
def test_sensors_and_heater(address):
    bridge = LakeshoreModel372("bridge", address, visalib="@py", device_clear=False)
    assert bridge.get_idn()["model"] == "372"
    assert bridge.ch06.temperature() > 0
    assert bridge.ch06.sensor_status() == "OK"
    heater = bridge.sample_heater
    heater.P(12)
    heater.setpoint(0.05)
    heater.output_range("100μA")
    assert (heater.P(), heater.setpoint(), heater.output_range()) == (12, 0.05, "100μA")
    heater.output_range("off")
    bridge.snapshot(update=True)


@pytest.mark.peer("qcodes", "OxfordTriton", "Oxford Triton", bench="triton")
def test_temperatures_by_name_and_number(socket_address):
    host, port = socket_address
    triton = OxfordTriton("triton", address=host, port=int(port), timeout=2)
    assert triton.get_idn()["vendor"] == "OXFORD INSTRUMENTS"
    assert triton.MC() == triton.T6() > 0
    assert triton.T16() is None
    assert triton.T6_state() == "on"
    triton.snapshot(update=True)


SETTINGS = (
    ("impedance_output1", 50), ("polarity_output1", "INV"), ("function_shape1", "RAMP"),
    ("function_shape1", "USER1"), ("voltage_amplitude1", 0.5), ("voltage_offset1", 0.1),
    ("burst_mode1", "TRIG"), ("burst_ncycles1", 3), ("burst_ncycles1", 1), ("burst_tdelay1", 1e-6),
    ("am_depth1", 30.0), ("fm_deviation1", 2e5), ("pwm_internal_function1", "TRI"),
    ("fsk_source1", "EXT"), ("freq_start1", 1e5), ("freq_stop1", 3e5), ("center_freq1", 5e5),
    ("sweep_time1", 0.5), ("sweep_spacing1", "LOG"), ("noise_level3", 20.0), ("freq_cw1", 2e6),
    ("voltage_high1", 0.4), ("voltage_low1", 0.0), ("trigger_source", "EXT"),
)  # fmt: skip


@contributed
def test_settings_of_a_generator(address):
    """It asks for all of its 150 parameters when it is made."""
    afg = AFG3000("afg", address, visalib="@py", device_clear=False)
    unread = [name for name, each in afg.parameters.items() if each.cache.get() is None]
    assert unread == []
    for name, value in SETTINGS:
        afg.parameters[name](value)
        assert afg.parameters[name]() == pytest.approx(value)
    assert afg.ask("SYST:ERR?") == '0,"No error"'


LINK = {"visalib": "@py", "device_clear": False, "timeout": 5}


@pytest.mark.peer("qcodes", "TektronixAWG5014", "AWG5014", bench="awg5014")
def test_waveform_in_the_list_becomes_an_element_of_the_sequence(address):
    generator = TektronixAWG5014("generator", address, terminator="\n", **LINK)
    zeros = np.zeros(256, np.int64)
    generator.send_waveform_to_list(np.linspace(-1, 1, 256), zeros, zeros, "ramp")
    generator.sequence_length(1)
    generator.set_sqel_waveform("ramp", 1, 1)
    assert generator.get_sqel_waveform(1, 1) == '"ramp"'
    assert generator.set_sqel_trigger_wait(1) == "1"
    generator.run_mode("SEQ")
    assert generator.run() == "Waiting for trigger"
    generator.ch1.state(1)
    assert generator.get_error() == '0,"No error"'
    generator.snapshot(update=True)
    assert generator.ch4.m2.high.cache.valid


@pytest.mark.peer("qcodes", "Keithley2450", "Keithley 2450", bench="keithley2450_1")
def test_source_measure_unit_as_voltage_source(address):
    unit = Keithley2450("unit", address, **LINK)
    unit.source_function("voltage")
    unit.source.limit(1e-3)
    unit.source.voltage(0.5)
    unit.output_enabled(True)
    assert (unit.source.voltage(), unit.output_enabled()) == (0.5, True)
    assert unit.source.limit_tripped() is False


@pytest.mark.peer("qcodes", "Keithley6500", "Keithley DAQ6500", bench="daq6500")
def test_multimeter_reads_volts(address):
    meter = Keithley6500("meter", address, **LINK)
    assert meter.mode() == "dc voltage"
    assert abs(meter.amplitude()) < 1


@pytest.mark.peer("qcodes", "Keysight33511B", "Keysight 33511B", bench="keysight33511b")
def test_square_waves(address):
    generator = Keysight33511B("generator", address, **LINK)
    generator.ch1.function_type("SQU")
    generator.ch1.frequency(20e3)
    generator.ch1.burst_ncycles("INF")
    assert generator.ch1.burst_ncycles() == float("inf")
    generator.ch1.output("ON")
    assert (generator.ch1.frequency(), generator.ch1.output()) == (20e3, "ON")
    assert generator.error() == (0, "No error")


@pytest.mark.peer("qcodes", "Stahl", "Stahl BS", bench="stahl")
def test_voltage_per_channel(address):
    source = Stahl("source", address, **LINK)
    assert (source.n_channels, source.voltage_range) == (8, 10.0)
    source.channel3.voltage(-1.234)
    assert source.channel3.voltage() == pytest.approx(-1.234, abs=2e-4)
    assert source.channel3.current() == 0
