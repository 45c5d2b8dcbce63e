import numpy as np
import ptufile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.tagfile.codec import Decoder, Encoder, encode, max_overflow_count
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import (
    GENERIC_T2,
    LAYOUTS,
    MARKER,
    SYNC,
    TIMEHARP_260N_T2,
    TIMEHARP_260N_T3,
    RecordLayout,
)
from analysis.tagfile.ptu_writer import PtuWriter

ALL = sorted(LAYOUTS.values(), key=lambda layout: layout.record_type)
PICOHARP_T2 = LAYOUTS[0x00010203]
PICOHARP_T3 = LAYOUTS[0x00010303]
HYDRAHARP_V1_T3 = LAYOUTS[0x00010304]
EDGES = (0, 1, -1, 2)


def make_events(time, channel, dtime=None):
    return Events(
        time=np.array(time, dtype=np.int64),
        dtime=None if dtime is None else np.array(dtime, dtype=np.int32),
        channel=np.array(channel, dtype=np.uint8),
    )


def assert_same(actual, expected):
    np.testing.assert_array_equal(actual.time, expected.time)
    np.testing.assert_array_equal(actual.channel, expected.channel)
    if expected.dtime is None:
        assert actual.dtime is None
    else:
        np.testing.assert_array_equal(actual.dtime, expected.dtime)


def uint32(*words):
    return np.array(words, dtype=np.uint32)


@st.composite
def event_streams(draw, layout: RecordLayout):
    """Sorted events whose times gather at multiples of the wrap."""
    edge = st.builds(
        lambda wraps, off: max(wraps * layout.wrap + off, 0),
        st.integers(0, 3000 if layout.counted_overflows else 40),
        st.sampled_from(EDGES),
    )
    anywhere = st.integers(0, 40 * layout.wrap)
    time = np.array(sorted(draw(st.lists(edge | anywhere, max_size=40))), dtype=np.int64)
    channels = [st.integers(0, layout.max_channel), st.integers(MARKER + 1, MARKER + 15)]
    if layout.family == "hydra" and layout.mode == "T2":
        channels.append(st.just(SYNC))
    channel = np.array(
        draw(st.lists(st.one_of(channels), min_size=len(time), max_size=len(time))), dtype=np.uint8
    )
    is_marker = channel > MARKER
    if layout is PICOHARP_T2:
        time = np.where(is_marker, (time & ~15) | (channel - MARKER), time)
        keep = np.argsort(time, kind="stable")
        time, channel = time[keep], channel[keep]
    if layout.mode == "T2":
        return make_events(time, channel)
    dtime = st.lists(st.integers(0, layout.dtime_bins - 1), min_size=len(time), max_size=len(time))
    dtime = np.array(draw(dtime), dtype=np.int32)
    if layout is PICOHARP_T3:
        dtime[is_marker] = 0
    return make_events(time, channel, dtime)


@pytest.mark.parametrize("layout", ALL, ids=str)
@given(data=st.data())
def test_decoding_what_was_encoded_gives_the_same_events(layout, data):
    events = data.draw(event_streams(layout))
    assert_same(Decoder(layout).decode(encode(events, layout)), events)


@pytest.mark.parametrize("layout", ALL, ids=str)
@given(data=st.data())
def test_blocks_of_any_size_give_the_same_as_one_block(layout, data):
    events = data.draw(event_streams(layout))
    cut = data.draw(st.integers(0, len(events)))
    encoder, decoder = Encoder(layout), Decoder(layout)
    parts = [
        encoder.encode(
            Events(
                time=events.time[part],
                dtime=None if events.dtime is None else events.dtime[part],
                channel=events.channel[part],
            )
        )
        for part in (slice(cut), slice(cut, None))
    ]
    records = np.concatenate(parts)
    np.testing.assert_array_equal(records, encode(events, layout))
    size = data.draw(st.integers(1, max(len(records), 1)))
    blocks = [decoder.decode(records[i : i + size]) for i in range(0, len(records), size)]
    if blocks:
        np.testing.assert_array_equal(np.concatenate([b.time for b in blocks]), events.time)


@pytest.mark.parametrize("layout", ALL, ids=str)
@given(wraps=st.integers(0, 5000), offset=st.sampled_from(EDGES))
def test_finish_counts_every_wrap_up_to_the_end(layout, wraps, offset):
    end = max(wraps * layout.wrap + offset, 0)
    decoder = Decoder(layout)
    events = decoder.decode(Encoder(layout).finish(end))
    assert len(events) == 0
    assert decoder.overflow == end // layout.wrap * layout.wrap


def channel_in_ptufile(channel, layout):
    """ptufile merges sync with input 1, and renumbers the PicoHarp's T3 channels 1-4."""
    if layout.family == "pico":
        return channel - 1 if layout.mode == "T3" else channel
    return np.where(channel == SYNC, 0, channel)


@pytest.mark.parametrize("layout", ALL, ids=str)
@settings(max_examples=25)
@given(data=st.data())
def test_random_events_decode_as_ptufile_decodes_them(layout, data, tmp_path_factory):
    events = data.draw(event_streams(layout))
    is_photon = events.channel <= SYNC
    if layout.family == "pico":
        events.channel[is_photon] = np.clip(events.channel[is_photon], 1, 4)
    path = tmp_path_factory.mktemp("codec") / "x.ptu"
    with PtuWriter(path, layout=layout, sync_period=1e-6) as writer:
        writer.write(encode(events, layout))
    with ptufile.PtuFile(path) as reference:
        records = reference.decode_records()
    records = records[(records["channel"] >= 0) | (records["marker"] > 0)]
    np.testing.assert_array_equal(records["time"], events.time)
    expected = channel_in_ptufile(events.channel, layout)
    np.testing.assert_array_equal(records["channel"][is_photon], expected[is_photon])
    np.testing.assert_array_equal(records["marker"][~is_photon], events.channel[~is_photon] - 64)


def test_photon_in_the_last_sync_before_an_overflow_keeps_its_sync_number():
    events = make_events([1023, 1024, 2047, 4096], [0, 1, 0, 1], [5, 6, 7, 32767])
    records = encode(events, TIMEHARP_260N_T3)
    expected = uint32(
        *(5 << 10 | 1023, 0xFE000001, 1 << 25 | 6 << 10, 7 << 10 | 1023),
        *(0xFE000003, 1 << 25 | 32767 << 10),
    )
    np.testing.assert_array_equal(records, expected)
    assert_same(Decoder(TIMEHARP_260N_T3).decode(records), events)


def test_overflow_count_zero_means_one():
    decoder = Decoder(TIMEHARP_260N_T3)
    assert decoder.decode(uint32(0xFE000000, 7)).time.tolist() == [1031]


def test_version_1_overflow_is_one_wrap_whatever_its_count():
    assert Decoder(HYDRAHARP_V1_T3).decode(uint32(0xFE000009, 7)).time.tolist() == [1031]


def test_long_gap_takes_few_records_where_overflows_are_counted():
    gap = 1025 * 1024
    assert encode(make_events([gap], [0], [0]), TIMEHARP_260N_T3)[:-1].tolist() == [
        0xFE000000 | 1023,
        0xFE000000 | 2,
    ]
    assert len(encode(make_events([gap], [0], [0]), HYDRAHARP_V1_T3)) == 1026


def test_overflow_at_the_end_stays_for_the_next_block():
    decoder = Decoder(TIMEHARP_260N_T2)
    decoder.decode(uint32(3, 0xFE000002))
    assert decoder.overflow == 2 * TIMEHARP_260N_T2.wrap
    assert decoder.decode(uint32(4)).time.tolist() == [2 * 33_554_432 + 4]


def test_sync_and_input_one_are_told_apart_in_t2():
    events = Decoder(TIMEHARP_260N_T2).decode(uint32(0x80000005, 5))
    assert events.channel.tolist() == [SYNC, 0]


def test_reserved_special_codes_are_counted_and_in_no_event():
    decoder = Decoder(TIMEHARP_260N_T3)
    reserved = [0x80000000 | code << 25 for code in (0, 16, 40, 62)]
    events = decoder.decode(uint32(*reserved, 1 << 25))
    assert decoder.unknown_records == 4
    assert events.channel.tolist() == [1]


def test_picoharp_t3_marker_above_four_bits_is_unknown():
    decoder = Decoder(PICOHARP_T3)
    assert len(decoder.decode(uint32(0xF0100000, 0xF00F0003))) == 1
    assert decoder.unknown_records == 1


def test_picoharp_t2_special_record_is_a_marker_or_an_overflow_by_its_low_bits():
    decoder = Decoder(PICOHARP_T2)
    events = decoder.decode(uint32(0xF0000010, 0xF0000013))
    assert events.channel.tolist() == [MARKER + 3]
    assert events.time.tolist() == [PICOHARP_T2.wrap + 0x13]


def test_overflows_beyond_64_bits_are_refused():
    records = np.full(9000, 0xFFFFFFFF, dtype=np.uint32)
    with pytest.raises(ValueError, match="must add up to at most"):
        Decoder(GENERIC_T2).decode(records)


def test_records_of_another_type_are_refused():
    with pytest.raises(TypeError, match="uint32"):
        Decoder(GENERIC_T2).decode(np.zeros(3))


@pytest.mark.parametrize(
    ("layout", "events", "match"),
    [
        (
            TIMEHARP_260N_T3,
            make_events([0, 1], [0, 63], [0, 0]),
            "event 1: channel must be 0 to 62",
        ),
        (TIMEHARP_260N_T3, make_events([0], [SYNC], [0]), "event 0: channel"),
        (PICOHARP_T2, make_events([0], [15]), "event 0: channel must be 0 to 14"),
        (PICOHARP_T2, make_events([32], [MARKER + 1]), "event 0: a marker's time"),
        (PICOHARP_T3, make_events([32], [MARKER + 1], [1]), "event 0: a marker must have dtime 0"),
        (TIMEHARP_260N_T3, make_events([0, 1], [0, 0], [0, 32768]), "event 1: dtime .* 32767"),
        (TIMEHARP_260N_T2, make_events([0, -1], [0, 0]), "event 1: time must be 0"),
        (
            TIMEHARP_260N_T2,
            make_events([1 << 26, 3], [0, 0]),
            "event 1: time must not .* but is 3; sort",
        ),
        (TIMEHARP_260N_T2, make_events([0], [0], [0]), "must not have `dtime`"),
        (TIMEHARP_260N_T3, make_events([0], [0]), "must have `dtime`"),
        (HYDRAHARP_V1_T3, make_events([1 << 40], [0], [0]), "event 0: the .* overflow records"),
        (TIMEHARP_260N_T2, make_events([0, 1], [0]), "same length"),
    ],
)
def test_events_that_do_not_fit_are_refused_with_their_index(layout, events, match):
    with pytest.raises(ValueError, match=match):
        encode(events, layout)


def test_disorder_within_a_wrap_is_kept():
    events = make_events([50, 20, 30], [0, 1, 0])
    assert_same(Decoder(TIMEHARP_260N_T2).decode(encode(events, TIMEHARP_260N_T2)), events)


def test_overflow_already_written_must_be_a_whole_number_of_wraps():
    with pytest.raises(ValueError, match="multiple of the wrap"):
        Encoder(TIMEHARP_260N_T3, overflow=1000)
    assert max_overflow_count(HYDRAHARP_V1_T3) == 1


def test_the_end_must_not_lie_before_what_is_written():
    encoder = Encoder(TIMEHARP_260N_T3)
    encoder.encode(make_events([5000], [0], [0]))
    with pytest.raises(ValueError, match="`end_time` must not lie before"):
        encoder.finish(4000)
