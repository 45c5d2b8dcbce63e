import numpy as np
import ptufile
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.tagfile import GENERIC_T2, PtuWriter, find_layout
from analysis.tagfile import SYNC as FILE_SYNC
from analysis.tagfile.codec import Decoder
from instruments.roles import TimeTagger
from instruments.swabian.stream import RECORD_TYPE, SYNC, T2Encoder
from instruments.swabian.timetagger import SwabianTimeTagger
from simulation.lab.instruments.swabian import SimulatedTimeTagger
from simulation.lab.ports.tagger import TaggerFlags, TaggerPort, TaggerRates, TimeTags


class StreamWorld(TaggerPort):
    """A world whose tags are written down, a block per poll."""

    def __init__(self, times=(), channels=(), blocks=4, flags=None, endless=False):
        self.tags = list(
            zip(np.array_split(times, blocks), np.array_split(channels, blocks), strict=True)
        )
        self.flags_now = flags or TaggerFlags()
        self.endless = endless
        self.settings = None
        self.active = False

    def rates(self, settings):
        return TaggerRates(sync=20_000.0, inputs=(120.0, 80.0))

    def start(self, settings, duration):
        self.settings, self.duration, self.active = settings, duration, True

    def stop(self):
        self.active = False

    def running(self):
        return self.active and (self.endless or bool(self.tags))

    def elapsed(self):
        return self.duration

    def flags(self):
        return self.flags_now

    def times(self, limit):
        times, channels = self.tags.pop(0) if self.tags else ((), ())
        return TimeTags(
            times_ps=np.asarray(times, np.int64), channels=np.asarray(channels, np.uint8)
        )


def world_of(seed, n=4000, **options):
    rng = np.random.default_rng(seed)
    times = np.sort(rng.integers(0, 10**12, n))
    return times, (channels := rng.integers(0, 3, n)), StreamWorld(times, channels, **options)


def tagger(world, *, ready=True, **options):
    module = SimulatedTimeTagger(world)
    device = SwabianTimeTagger("tagger", 1, [2, 3], library=module, **options)
    if ready:
        for channel in (device.sync, *device.inputs):
            channel.trigger_level(0.1)
    return device, module


def test_fulfils_the_role():
    device, _ = tagger(StreamWorld())
    role: TimeTagger = device
    assert isinstance(role, TimeTagger)
    assert device.get_idn()["serial"] == "SIM0002"


@given(
    gaps=st.lists(st.integers(0, 2**27), max_size=50),
    huge=st.sampled_from([0, 2**50 - 1, 2**50, 2**52 + 5]),
    seed=st.integers(0, 1000),
)
def test_analysis_decodes_exactly_what_was_encoded(gaps, huge, seed):
    rng = np.random.default_rng(seed)
    ticks = np.cumsum(np.array([*gaps, huge, 17], dtype=np.int64))
    channels = rng.choice([0, 1, 5, 62, SYNC], len(ticks))
    encoder, decoder = T2Encoder(), Decoder(GENERIC_T2)
    half = len(ticks) // 2
    decoded = [
        decoder.decode(encoder.encode(ticks[part], channels[part]))
        for part in (slice(None, half), slice(half, None))
    ]
    decoder.decode(encoder.finish(int(ticks[-1]) + 2**26))
    np.testing.assert_array_equal(np.concatenate([d.time for d in decoded]), ticks)
    np.testing.assert_array_equal(np.concatenate([d.channel for d in decoded]), channels)
    assert decoder.overflow == (int(ticks[-1]) + 2**26) >> 25 << 25


def test_encoder_and_analysis_agree_on_type_and_sync():
    assert find_layout(RECORD_TYPE) is GENERIC_T2
    assert SYNC == FILE_SYNC


@pytest.mark.parametrize(
    ("ticks", "channels", "rule"),
    [([0], [63], "`channels` must be 0 to 62 or 64"), ([2**26, 0], [0, 0], "must not run back")],
)
def test_encoder_refuses_what_records_cannot_hold(ticks, channels, rule):
    with pytest.raises(ValueError, match=rule):
        T2Encoder().encode(np.array(ticks), np.array(channels))


def test_recorded_file_holds_the_stream_in_picoseconds(tmp_path):
    times, channels, world = world_of(1)
    device, _ = tagger(world)
    form = device.record_format()
    layout = find_layout(form.record_type)
    with PtuWriter(
        tmp_path / "x.ptu", layout=layout, resolution=form.resolution, tags=dict(form.tags)
    ) as writer:
        device.start(writer, 1.0)
        assert device.wait(5.0)
    with ptufile.PtuFile(tmp_path / "x.ptu") as reference:
        assert reference.global_resolution == 1e-12
        records = reference.read_records()
    decoded = Decoder(layout).decode(np.asarray(records, np.uint32))
    np.testing.assert_array_equal(decoded.time, times)
    expected = np.where(channels == 0, FILE_SYNC, channels - 1)
    np.testing.assert_array_equal(decoded.channel, expected)
    assert device.events() == ()
    assert device.elapsed() == 1.0


def test_block_larger_than_the_buffer_arrives_complete(sink):
    times, _, world = world_of(2, n=400_000, blocks=1)
    device, _ = tagger(world)
    device.start(sink, 1.0)
    assert device.wait(5.0)
    np.testing.assert_array_equal(Decoder(GENERIC_T2).decode(sink.records).time, times)


def test_lost_tags_are_events(sink):
    flags = TaggerFlags(fifo_full=True, dropped_events=True)
    _, _, world = world_of(3, flags=flags)
    device, _ = tagger(world)
    device.start(sink, 1.0)
    assert device.wait(5.0)
    assert sorted(event.kind for event in device.events()) == ["dropped_events", "fifo_full"]
    assert "1 tags were lost" in next(
        event.message for event in device.events() if event.kind == "dropped_events"
    )


def test_settings_reach_the_world(sink):
    world = StreamWorld()
    module = SimulatedTimeTagger(world)
    device = SwabianTimeTagger("tagger", 1, [-3], library=module)
    device.sync.trigger_level(0.7)
    device.inputs[0].trigger_level(-0.2)
    device.inputs[0].offset(-1.5e-9)
    device.start(sink, 0.5)
    device.wait(5.0)
    first, second = world.settings.inputs
    assert not first.enabled
    assert (second.level, second.rising, second.offset) == (-0.2, False, -1.5e-9)
    assert world.settings.sync.level == pytest.approx(0.7)
    assert (world.settings.mode, world.duration) == ("stream", 0.5)


def test_stop_ends_an_endless_stream(sink):
    device, _ = tagger(StreamWorld(endless=True))
    device.start(sink, 1.0)
    with pytest.raises(RuntimeError, match="must wait for the recording's end"):
        device.sync.trigger_level(0.3)
    device.stop()
    assert device.wait(0.0)


def test_missing_levels_are_named():
    device, _ = tagger(StreamWorld(), ready=False)
    with pytest.raises(RuntimeError, match="tagger_sync_trigger_level, tagger_input1_trigger"):
        device.start(None, 1.0)


@pytest.mark.parametrize("duration", [0.0, -1.0, float("inf")])
def test_illegal_duration_is_refused(duration):
    device, _ = tagger(StreamWorld())
    with pytest.raises(ValueError, match="`duration` must be"):
        device.start(None, duration)


def test_rates_are_numbered_as_in_the_file():
    device, _ = tagger(StreamWorld())
    assert (device.sync_rate(), device.count_rate(0), device.count_rate(1)) == (20e3, 120.0, 80.0)
    with pytest.raises(ValueError, match="must be 0 to 1, but is 2"):
        device.count_rate(2)


def test_level_beyond_the_taggers_range_is_refused():
    device, _ = tagger(StreamWorld())
    with pytest.raises(ValueError, match="tagger_input1_trigger_level"):
        device.inputs[0].trigger_level(3.0)


def test_absent_tagger_names_those_present():
    module = SimulatedTimeTagger()
    with pytest.raises(ConnectionError, match=r"Time Tagger 42 must be connected.*SIM0002"):
        SwabianTimeTagger("a", 1, [2], serial="42", library=module)
    with pytest.raises(ValueError, match="channels must be different"):
        SwabianTimeTagger("b", 1, [2, 2], library=module)


def test_reconnect_restores_settings():
    device, module = tagger(StreamWorld())
    device.inputs[1].trigger_level(0.25)
    device.reconnect()
    assert device.inputs[1].trigger_level() == 0.25
    assert module.in_use
    device.close()
    assert not module.in_use


def test_snapshot_changes_nothing():
    device, _ = tagger(StreamWorld())
    levels = dict(device.device._levels)
    device.snapshot(update=True)
    assert device.device._levels == levels
