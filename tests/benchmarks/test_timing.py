"""The benchmarks' own measurements."""

import sys

import numpy as np
import pytest

from benchmarks.timing import Taken, process_megabytes


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_is_that_of_the_process_and_not_of_its_parent():
    ballast = np.ones(30_000_000)  # 240 MB
    assert process_megabytes("pass") < 100 < ballast.nbytes / 1e6
    assert process_megabytes("x = bytearray(b'1') * 150_000_000") > 140


def test_noise_is_half_the_range_between_quartiles_of_the_rounds_ratios():
    one = Taken(wall=(2.0, 4.0, 6.0), processor=(1.0, 1.0, 1.0))
    other = Taken(wall=(1.0, 1.0, 2.0), processor=(0.5, 0.25, 0.2))
    assert one.per(other) == pytest.approx((4.0, 3.0 / 8.0))
    assert one.per(other, by_wall=True) == pytest.approx((3.0, 2.0 / 6.0))
    assert one.of(2.0) == (2.0, 0.0)
    assert one.of(2.0, by_wall=True)[0] == 0.5
