import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.tagfile.codec import Decoder
from analysis.tagfile.layouts import SYNC, TIMEHARP_260N_T2, TIMEHARP_260N_T3
from simulation.lab.emission import DetectorClicks
from simulation.lab.ports.tagger import TaggerSettings, TriggerInput
from simulation.lab.tagger import Fifo, Registrar, _with_dead_time, discriminate
from simulation.lab.world_parameters import WorldParameters

WORLD = WorldParameters(jitter=0.0, detector_dead_time=0.0, tagger_dead_time=0.0)
HEIGHTS = (0.3, 0.3)


def registrar(settings, parameters=WORLD):
    return Registrar(settings, parameters, np.random.default_rng(0))


def clicks(*triples):
    trial, time, detector = zip(*triples, strict=True)
    return DetectorClicks(
        trial=np.array(trial), time=np.array(time), detector=np.array(detector, np.uint8)
    )


def test_t2_and_t3_hold_the_same_clicks():
    own = clicks((3, 1e-6, 0), (3, 1.2e-6, 1), (70, 2e-6, 0), (5000, 0.5e-6, 1))
    decoded = {}
    for mode, layout in (("T2", TIMEHARP_260N_T2), ("T3", TIMEHARP_260N_T3)):
        taken = registrar(TaggerSettings(mode=mode))
        records = taken.records(*taken.register(own, 0, 6000, HEIGHTS), 6000)
        decoded[mode] = Decoder(layout).decode(records)
    t2, t3 = decoded["T2"], decoded["T3"]
    inputs = t2.channel != SYNC
    assert np.sum(~inputs) == 6000
    np.testing.assert_array_equal(t2.time[inputs], t3.time * 200_000 + t3.dtime)
    np.testing.assert_array_equal(t2.channel[inputs], t3.channel)


@pytest.mark.parametrize("mode", ["T2", "T3"])
def test_stretches_join_without_seam(mode):
    rng = np.random.default_rng(1)
    n = 3000
    own = DetectorClicks(
        trial=rng.integers(0, 4000, n),
        time=rng.random(n) * 49e-6,
        detector=rng.integers(0, 2, n).astype(np.uint8),
    )
    settings = TaggerSettings(mode=mode, binning=3, inputs=(TriggerInput(offset=3e-6),) * 2)
    whole, parts = registrar(settings), registrar(settings)
    expected = whole.records(*whole.register(own, 0, 4000, HEIGHTS), 4000)
    pieces = []
    for first in range(0, 4000, 500):
        mine = (own.trial >= first) & (own.trial < first + 500)
        piece = DetectorClicks(
            trial=own.trial[mine] - first, time=own.time[mine], detector=own.detector[mine]
        )
        pieces.append(parts.records(*parts.register(piece, first, 500, HEIGHTS), first + 500))
    layout = TIMEHARP_260N_T2 if mode == "T2" else TIMEHARP_260N_T3
    one, many = (Decoder(layout).decode(r) for r in (expected, np.concatenate(pieces)))
    np.testing.assert_array_equal(one.time, many.time)
    np.testing.assert_array_equal(one.channel, many.channel)


def test_dead_time_counts_from_the_last_click_that_was_kept():
    slow = WorldParameters(jitter=0.0, detector_dead_time=50e-9)
    own = clicks(*((0, t * 1e-9, 0) for t in (100, 130, 160, 190, 205)))
    time, channel = registrar(TaggerSettings(mode="T2"), slow).register(own, 0, 1, HEIGHTS)
    np.testing.assert_array_equal(time[channel == 0] // 4, [100, 160])


def test_level_takes_half_of_the_pulses_at_their_height():
    assert discriminate(TriggerInput(level=0.3), 0.3, WORLD).registered == pytest.approx(0.5)
    assert discriminate(TriggerInput(level=0.1), 0.3, WORLD).registered == pytest.approx(1.0)
    assert discriminate(TriggerInput(level=-0.1), 0.3, WORLD).registered == 0


def test_falling_edge_comes_when_the_pulse_has_decayed_to_the_level():
    seen = discriminate(TriggerInput(level=0.1, rising=False), 0.3, WORLD)
    assert seen.delay == pytest.approx(WORLD.pulse_fall * np.log(3))


def test_noise_crossings_follow_rice():
    sigma, band = WORLD.pulse_noise, WORLD.noise_bandwidth_hz
    assert discriminate(TriggerInput(level=0.0), 0.3, WORLD).noise_rate == band
    at = discriminate(TriggerInput(level=3 * sigma), 0.3, WORLD).noise_rate
    assert at == pytest.approx(band * np.exp(-4.5))


def test_clicks_before_the_recording_are_not_in_it():
    early = TaggerSettings(mode="T2", inputs=(TriggerInput(offset=-1e-6),) * 2)
    own = clicks((0, 0.2e-6, 0), (1, 0.2e-6, 0))
    time, channel = registrar(early).register(own, 0, 3, HEIGHTS)
    np.testing.assert_array_equal(time[channel == 0], [200_000 - 3200])


def test_stream_counts_picoseconds():
    settings = TaggerSettings(mode="stream", sync_only_with_clicks=True)
    time, channel = registrar(settings).register(clicks((7, 1.5e-6, 1)), 0, 100, HEIGHTS)
    np.testing.assert_array_equal(time, [350_000_000, 351_500_000])
    np.testing.assert_array_equal(channel, [SYNC, 1])


def test_fifo_hands_out_in_order_and_refuses_what_does_not_fit():
    fifo = Fifo(5)
    assert fifo.put(np.array([1, 2, 3]))
    assert not fifo.put(np.array([4, 5, 6]))
    assert [list(block[0]) for block in fifo.take(4)] == [[1, 2, 3], [4]]
    assert fifo.waiting == 1
    assert list(fifo.take(9)[0][0]) == [5]


def test_noise_that_triggers_all_the_time_is_limited_by_the_dead_time():
    world = WorldParameters()
    settings = TaggerSettings(mode="T2", inputs=(TriggerInput(level=0.0),) * 2)
    nothing = DetectorClicks(trial=np.empty(0, int), time=np.empty(0), detector=np.empty(0, int))
    time, channel = registrar(settings, world).register(nothing, 0, 200, HEIGHTS)
    mine = time[channel == 0]
    assert len(mine) == pytest.approx(200 * 50e-6 / (50e-9 + 1e-9), rel=0.01)
    assert np.diff(mine).min() >= 200


@given(
    ticks=st.lists(st.integers(0, 400), min_size=1, max_size=60),
    dead=st.integers(0, 40),
)
def test_dead_time_is_counted_from_the_last_event_that_was_kept(ticks, dead):
    """Against an event-by-event reference: a click inside a dead time does not prolong it."""
    world = WorldParameters(jitter=0.0, detector_dead_time=dead * 250e-12, tagger_dead_time=0.0)
    taken = registrar(TaggerSettings(mode="T2", sync_only_with_clicks=True), world)
    own = clicks(*((0, (tick + 0.5) * 250e-12, 0) for tick in ticks))
    time, channel = taken.register(own, 0, 1, HEIGHTS)
    expected = []
    for tick in sorted(ticks):
        if not expected or tick - expected[-1] >= dead:
            expected.append(tick)
    found = time[channel != SYNC]
    np.testing.assert_array_equal(found - found[0], np.array(expected) - expected[0])


@given(
    ticks=st.lists(st.integers(0, 300), max_size=60).map(sorted),
    dead=st.integers(0, 40),
    last=st.integers(-50, 20),
)
def test_dead_time_counts_from_the_event_that_was_kept(ticks, dead, last):
    kept = [last]
    for tick in ticks:
        if tick - kept[-1] >= dead:
            kept.append(tick)
    found = _with_dead_time(np.array(ticks, np.int64), dead, last)
    assert found.tolist() == kept[1:]
