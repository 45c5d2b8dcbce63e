"""The HDAWG's driver before the maker's own compiler and toolkit; no instrument is needed."""

from inspect import signature

import numpy as np
import pytest
from zhinst.core import compile_seqc
from zhinst.toolkit import Session, Waveforms
from zhinst.toolkit.driver.nodes.awg import AWG

from instruments import ZurichHDAWG
from labkit.station.config import read_station_file
from simulation.lab.instruments.zurich_hdawg import SimulatedZhinst

compiler = pytest.mark.peer("zhinst-core", "compile_seqc", "HDAWG, our driver's program", bench="")
toolkit = pytest.mark.peer("zhinst-toolkit", "AWG, Waveforms", "HDAWG", bench="")
RATE = 2.4e9


@pytest.fixture
def given():
    """What a station file says of the generator."""
    init = dict(read_station_file("others").instruments["awg"]["init"])
    return init | {"library": SimulatedZhinst()}


@pytest.fixture
def driver(given, address):
    return ZurichHDAWG("awg", "localhost", **given)


def messages(program):
    _, told = compile_seqc(program, "HDAWG4", "", 0, samplerate=RATE)
    return told["messages"]


@compiler
@pytest.mark.parametrize("channel", [1, 2, 3, 4])
def test_makers_compiler_takes_the_drivers_program_without_a_word(driver, given, channel):
    shortest, step = given["shortest"], given["granularity"]
    segments = [np.zeros(shortest), np.zeros(shortest + step), np.zeros(9600)]
    driver.load_segments(channel, segments, RATE)
    steps = [(1, 3), (2, 1), (3, 1000)]
    driver.load_sequence(channel, steps)
    assert messages(driver._program(channel, steps)) == ""


@compiler
@pytest.mark.parametrize(("less", "told"), [("shortest", "minimal"), ("granularity", "")])
def test_station_file_says_the_least_length_and_step_that_the_compiler_knows(given, less, told):
    points = given["shortest"] + (-1 if less == "shortest" else given["granularity"] // 2)
    program = f"wave w = placeholder({points}); assignWaveIndex(1, w, 0); playWave(1, w);"
    assert f"size {points} is" in messages(program)
    assert told in messages(program)


@toolkit
def test_toolkit_has_what_the_driver_calls(address):
    assert list(signature(AWG.load_sequencer_program).parameters)[1] == "sequencer_program"
    assert "waveforms" in signature(AWG.write_to_waveform_memory).parameters
    assert "single" in signature(AWG.enable_sequencer).parameters
    assert "serial" in signature(Session.connect_device).parameters


@toolkit
def test_makers_waveforms_hold_what_the_driver_assigns(address):
    waveforms = Waveforms()
    wave = np.linspace(-1, 1, 64)
    waveforms.assign_waveform(0, wave)
    written = waveforms.get_raw_vector(0).view(np.int16)
    np.testing.assert_allclose(written / (2**15 - 1), wave, atol=2**-14)
