"""HDAWG: what is loaded is what the EOM gets at each trigger; limits and safe state."""

import numpy as np
import pytest

from instruments import ZurichHDAWG
from instruments.roles import WaveformGenerator
from simulation.lab.instruments.zurich_hdawg import OUTPUT_VOLTS, SimulatedZhinst

SETTINGS = {
    "serial": "dev8000", "n_channels": 4, "full_scale": OUTPUT_VOLTS, "peak_limit": 0.65,
    "granularity": 16, "shortest": 32, "trigger_input": 1,
}  # fmt: skip
SAWTOOTH = np.tile(np.linspace(-0.5, 0.5, 160, endpoint=False), 3)


@pytest.fixture
def twin():
    return SimulatedZhinst()


@pytest.fixture
def awg(twin):
    return ZurichHDAWG("awg", "localhost", library=twin, **SETTINGS)


def test_sequence_reaches_the_connector(awg, twin):
    assert isinstance(awg, WaveformGenerator)
    awg.load_segments(1, [np.zeros(64), SAWTOOTH], 2.4e9)
    awg.load_sequence(1, [(1, 3), (2, 1)])
    assert twin.device._ports[0].drive is None
    awg.set_output(1, on=True)
    drive = twin.device._ports[0].drive
    assert (drive.sample_rate, drive.trigger) == (2.4e9, "external")
    assert [count for _, count in drive.steps] == [3, 1]
    assert drive.steps[1][0] == pytest.approx(SAWTOOTH)
    awg.safe_state()
    assert twin.device._ports[0].drive is None
    assert not awg.output_is_on(1)


def test_programming_a_channel_silences_its_core(awg):
    awg.load_segments(1, [SAWTOOTH], 2.4e9)
    awg.load_sequence(1, [(1, 1)])
    awg.set_output(1, on=True)
    awg.load_segments(2, [SAWTOOTH], 2.4e9)
    assert not awg.output_is_on(1)
    with pytest.raises(RuntimeError, match="load a sequence before"):
        awg.set_output(1, on=True)


@pytest.mark.parametrize(
    ("wave", "rate", "message"),
    [
        (np.zeros(100), 2.4e9, "a multiple of 16, but has 100"),
        (np.zeros(16), 2.4e9, "must have 32 samples or more"),
        (np.full(64, 0.7), 2.4e9, "within ±0.65 V, but goes to 0.7 V"),
        (np.full(64, np.nan), 2.4e9, "within ±0.65 V"),
        (np.zeros(64), 3.6e9, "`sample_rate` must be 1e\\+08 to 2.4e\\+09 Hz"),
    ],
)
def test_what_the_device_cannot_play_is_refused(awg, wave, rate, message):
    with pytest.raises(ValueError, match=message):
        awg.load_segments(1, [wave], rate)


def test_sequence_of_what_is_not_loaded_is_refused(awg):
    awg.load_segments(1, [SAWTOOTH], 2.4e9)
    for step in ((2, 1), (1, 0)):
        with pytest.raises(ValueError, match="each step must name a segment, 1 to 1"):
            awg.load_sequence(1, [step])
    with pytest.raises(ValueError, match="`channel` must be 1 to 4, but is 5"):
        awg.set_output(5, on=False)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"n_channels": 2}, ValueError, "`n_channels` must be 4 or 8"),
        ({"peak_limit": 3.0}, ValueError, "at most `full_scale`"),
        ({"serial": "dev1"}, ConnectionError, "dev1 must be reachable"),
    ],
)
def test_what_cannot_be_is_refused_on_connecting(twin, wrong, error, message):
    with pytest.raises(error, match=message):
        ZurichHDAWG("awg", "localhost", library=twin, **SETTINGS | wrong)
