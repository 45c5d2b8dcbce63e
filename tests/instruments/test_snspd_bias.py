import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from qcodes.instrument import Instrument

from instruments.roles import BiasSource
from instruments.snspd_bias import PhotonSpotBias, QuantumOpusBias
from instruments.srs.sim900 import SRSSIM900
from simulation.lab.instrument_faults import InstrumentFault
from simulation.lab.instruments.snspd_bias import SimulatedPhotonSpot, SimulatedQuantumOpus
from simulation.lab.instruments.srs_sim900 import SimulatedSIM900
from simulation.lab.servers.serial_line import SerialLine

QUICK = {"ramp_rate": 1.0, "delatch_wait": 1e-3}
CAPS = [20e-6, 15e-6]


@pytest.fixture
def spi():
    return SimulatedPhotonSpot()


@pytest.fixture
def spot(spi):
    return PhotonSpotBias("bias", spi, CAPS, ramp_step=1e-6, **QUICK)


@pytest.fixture
def modules():
    return [SimulatedQuantumOpus(), SimulatedQuantumOpus()]


def frame_with(modules):
    return SimpleNamespace(port=dict(enumerate(modules, start=1)).__getitem__)


@pytest.fixture
def opus(modules):
    return QuantumOpusBias("bias", frame_with(modules), [1, 2], CAPS, ramp_step=1e-6, **QUICK)


def currents(words):
    codes = [int.from_bytes(word, "big") & 0xFFFF for word in words]
    return [(code / 65535 * 4.991 - 0.010) / 10e3 for code in codes]


def test_both_fulfil_the_role(spot):
    role: BiasSource = spot
    assert isinstance(role, BiasSource)
    other: BiasSource = QuantumOpusBias(
        "other", frame_with([SimulatedQuantumOpus()]), [1], [10e-6], **QUICK
    )
    assert (role.n_channels, other.n_channels) == (2, 1)


@pytest.mark.parametrize(
    ("channel", "current", "word"),
    [(1, 0.0, "370083"), (8, 0.0, "300083"), (1, 10e-6, "3705a4"), (5, 498.1e-6, "33ffff")],
)
def test_words_follow_the_vendors_script(channel, current, word):
    assert PhotonSpotBias.word(channel, current).hex() == word


def test_nothing_is_sent_when_connecting_or_by_a_snapshot(spot, spi):
    snapshot = spot.snapshot(update=True)
    assert spi.words == []
    assert snapshot["submodules"]["channel1"]["parameters"]["current"]["value"] is None


def test_first_ramp_starts_at_zero_and_moves_in_steps(spot, spi):
    spot.ramp_to(1, 10e-6)
    assert currents(spi.words) == pytest.approx([n * 1e-6 for n in range(11)], abs=5e-9)
    assert spi.ports[1].current == pytest.approx(10e-6, abs=5e-9)
    assert spi.ports[2].current == 0.0
    assert spot.current(1) == 10e-6


def test_ramp_takes_the_configured_time(spi):
    spot = PhotonSpotBias("bias", spi, CAPS, ramp_rate=100e-6, ramp_step=1e-6)
    began = time.monotonic()
    spot.ramp_to(1, 10e-6)
    assert 0.1 <= time.monotonic() - began < 5


def test_unknown_current_is_an_error_that_says_so(spot):
    with pytest.raises(RuntimeError, match="channel 2 must be set before it is known"):
        spot.current(2)
    with pytest.raises(RuntimeError, match="must be set before"):
        spot.delatch(2)


@pytest.mark.parametrize(("channel", "current"), [(2, 15.1e-6), (1, -1e-9), (1, float("nan"))])
def test_cap_is_enforced_before_sending(spot, spi, channel, current):
    with pytest.raises(ValueError, match=rf"channel {channel} must be 0 to \d+ µA"):
        spot.ramp_to(channel, current)
    with pytest.raises((ValueError, TypeError)):
        spot.channels[channel - 1].current(current)
    assert spi.words == []


@pytest.mark.parametrize("cap", [0.0, -1e-6, 499e-6])
def test_cap_beyond_the_hardware_is_refused(spi, cap):
    with pytest.raises(ValueError, match=r"`max_currents` of channel 1 .* 498\.1 µA"):
        PhotonSpotBias("bias", spi, [cap], ramp_rate=1.0)


@pytest.mark.parametrize("channel", [0, 3])
def test_channel_out_of_range_is_named(spot, channel):
    with pytest.raises(ValueError, match=f"must be 1 to 2, but is {channel}"):
        spot.ramp_to(channel, 0.0)


def test_delatch_returns_to_the_channels_own_current(spot, spi):
    spot.ramp_to(1, 10e-6)
    spot.ramp_to(2, 5e-6)
    history = []
    spi.ports[1].listener = history.append
    spot.delatch(1)
    assert min(history) == pytest.approx(0.0, abs=5e-9)
    assert history[-1] == pytest.approx(10e-6, abs=5e-9)
    assert spi.ports[2].current == pytest.approx(5e-6, abs=5e-9)


def test_safe_state_goes_to_zero_in_steps_from_any_state(spot, spi):
    spot.ramp_to(1, 10e-6)
    spi.words.clear()
    spot.safe_state()
    assert len(spi.words) == 20
    assert spi.ports[1].current == pytest.approx(0.0, abs=5e-9)
    assert spot.current(2) == 0.0
    spot.safe_state()


def test_safe_state_interrupts_a_ramp(spi):
    spot = PhotonSpotBias("bias", spi, CAPS, ramp_rate=1e-6)
    failure = []

    def ramp():
        try:
            spot.ramp_to(1, 20e-6)
        except RuntimeError as error:
            failure.append(str(error))

    thread = threading.Thread(target=ramp)
    thread.start()
    time.sleep(0.1)
    began = time.monotonic()
    spot.safe_state()
    thread.join(1.0)
    assert time.monotonic() - began < 5
    assert "interrupted by safe_state" in failure[0]
    assert spi.ports[1].current == pytest.approx(0.0, abs=5e-9)
    assert spot.current(1) == 0.0


def test_failed_write_leaves_the_current_unknown_and_starts_again_from_zero(spot, spi):
    spot.ramp_to(1, 5e-6)
    spi.faults.inject(InstrumentFault(kind="disconnect"))
    with pytest.raises(ConnectionError, match="channel 1 could not be set, the link fails"):
        spot.ramp_to(1, 10e-6)
    assert spot.known_current(1) is None
    spi.words.clear()
    spot.ramp_to(1, 2e-6)
    assert currents(spi.words) == pytest.approx([0.0, 1e-6, 2e-6], abs=5e-9)


def test_opus_speaks_bias_codes(opus, modules):
    opus.ramp_to(2, 2e-6)
    assert modules[1].lines == ["+B?", "+B2621;", "+B5243;", "+B?"]
    assert modules[1].port.current == pytest.approx(2e-6, abs=1e-9)
    assert opus.get_idn()["vendor"] == "Quantum Opus"


def test_opus_takes_over_the_current_it_finds(modules):
    modules[0].execute("+B26214;")
    opus = QuantumOpusBias("bias", frame_with(modules), [1, 2], CAPS, **QUICK)
    assert opus.current(1) == pytest.approx(10e-6, abs=1e-9)
    assert modules[0].port.current == pytest.approx(10e-6, abs=1e-9)


def test_opus_notices_a_current_that_does_not_move(opus, modules):
    modules[0].faults.inject(InstrumentFault(kind="stick", setting="+B", count=None))
    with pytest.raises(RuntimeError, match="must carry 2 µA after the ramp, but reads back 0 µA"):
        opus.ramp_to(1, 2e-6)
    assert opus.current(1) == 0.0


@pytest.mark.parametrize("kind", ["silence", "garbage"])
def test_opus_spoiled_reply_is_an_error(opus, modules, kind):
    modules[0].faults.inject(InstrumentFault(kind=kind, data=b"~"))
    with pytest.raises((TimeoutError, RuntimeError)):
        opus.ramp_to(1, 1e-6)


def test_safe_state_reaches_all_modules_although_one_fails(opus, modules, monkeypatch):
    opus.ramp_to(1, 2e-6)
    opus.ramp_to(2, 2e-6)

    def broken(cmd):
        raise ConnectionError(cmd)

    monkeypatch.setattr(modules[0], "write", broken)
    with pytest.raises(ExceptionGroup, match="bias: 1 of 2 currents could not be taken to 0"):
        opus.safe_state()
    assert modules[1].port.current == 0.0


@pytest.mark.parametrize(("slots", "caps"), [([1, 2], [1e-6]), ([1, 1], [1e-6, 1e-6])])
def test_opus_needs_one_cap_per_slot(modules, slots, caps):
    with pytest.raises(ValueError, match=r"must have one value per slot.*\[1, [12]\]"):
        QuantumOpusBias("bias", frame_with(modules), slots, caps, **QUICK)


def test_opus_speaks_through_a_mainframe_on_a_serial_line(modules):
    with SerialLine(SimulatedSIM900({2: modules[0], 5: modules[1]})) as line:
        frame = SRSSIM900("frame", line.address, visalib="@py", timeout=1.0)
        opus = QuantumOpusBias("bias", frame.name, [2, 5], CAPS, ramp_step=2e-6, **QUICK)
        opus.ramp_to(1, 4e-6)
        opus.delatch(1)
        assert modules[0].port.current == pytest.approx(4e-6, abs=1e-9)
        assert modules[1].port.current == 0.0
        opus.safe_state()
        assert modules[0].port.current == 0.0
        Instrument.close_all()


def test_module_reset_takes_virtual_time_and_restores(modules):
    module = modules[0]
    module.execute("+B1000;")
    history = []
    module.port.listener = history.append
    module.execute("+F;")
    assert history == pytest.approx([0.0, 1000 / 65535 * 25e-6])
    assert module.clock.now() == pytest.approx(0.1)


def test_module_ignores_what_it_does_not_know():
    module = SimulatedQuantumOpus()
    for line in ("+B70000;", "+B5", "hello", "+Bx;"):
        assert module.execute(line) is None
    assert module.execute("+B?") == "0"


def test_pauses_too_short_to_be_kept_are_made_together_and_the_rate_is_not_exceeded(
    spi, monkeypatch
):
    """1 mA/s in steps of 10 nA: 10 µs each; 12 µA take 12 ms at least."""
    spot = PhotonSpotBias("bias", spi, CAPS, ramp_rate=1e-3)
    spot.ramp_to(1, 0.0)
    wait, pauses, steps = spot._abort.wait, [], []
    monkeypatch.setattr(spot._abort, "wait", lambda s: pauses.append(s) or wait(s))
    write = spot._write
    monkeypatch.setattr(spot, "_write", lambda *step: steps.append(step[1]) or write(*step))
    begin = time.monotonic()
    spot.ramp_to(1, 12e-6)
    assert time.monotonic() - begin >= 12e-3
    assert sum(pauses) == pytest.approx(12e-3)
    assert len(pauses) <= 13
    assert max(np.diff([0.0, *steps])) == pytest.approx(10e-9)
