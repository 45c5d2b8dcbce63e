from pathlib import Path

import numpy as np
import pytest

from analysis.tagfile.codec import Decoder
from analysis.tagfile.events import Events
from analysis.tagfile.header import read_header

DATA = Path(__file__).parents[3].parent / "shared" / "data"


@pytest.fixture
def recording():
    """Path of a real recording by name, if it lies beside the checkout."""

    def find(name):
        path = DATA / name
        if not path.exists():
            pytest.skip(f"real recording {name} is not beside the checkout")
        return path

    return find


@pytest.fixture
def decode():
    """All events of an open tag file."""

    def read(source, **range_):
        decoder = Decoder(source.layout)
        blocks = [decoder.decode(block) for block in source.blocks(**range_)]
        blocks.append(decoder.decode(np.empty(0, np.uint32)))
        is_t3 = source.layout.mode == "T3"
        return Events(
            time=np.concatenate([block.time for block in blocks]),
            dtime=np.concatenate([block.dtime for block in blocks]) if is_t3 else None,
            channel=np.concatenate([block.channel for block in blocks]),
        )

    return read


@pytest.fixture
def same_events():
    """Assert that two sets of events are equal."""

    def check(actual, expected):
        np.testing.assert_array_equal(actual.time, expected.time)
        np.testing.assert_array_equal(actual.channel, expected.channel)
        assert (actual.dtime is None) == (expected.dtime is None)
        if expected.dtime is not None:
            np.testing.assert_array_equal(actual.dtime, expected.dtime)

    return check


@pytest.fixture
def patch():
    """Replace the eight value bytes of a header tag in a PTU file."""

    def write(path, key, value):
        offset = read_header(path).tag(key).offset + 40
        data = bytearray(path.read_bytes())
        data[offset : offset + 8] = value
        path.write_bytes(data)

    return write
