"""The record's benchmarks, small: three weeks of troubles, kills, flipped bits."""

import sys

import pytest

from benchmarks import record

pytestmark = pytest.mark.long


def test_three_weeks_of_troubles_lose_and_double_no_block(tmp_path):
    folder = record._made(tmp_path)
    first = record.take_block(folder, record.GATES, 1, record._bright, record.SETTING)
    assert record._three_weeks(folder, first, 84) == []


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")
def test_kills_lose_and_double_no_block_and_leave_none_unverified(tmp_path):
    assert record._kills(tmp_path, 12).ratio == 1.0


def test_no_flipped_bit_of_a_sealed_run_goes_unnoticed(tmp_path):
    assert record._flips(tmp_path, 100).ratio == 1.0
