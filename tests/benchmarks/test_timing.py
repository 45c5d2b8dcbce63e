"""The benchmarks' own measurements."""

import sys

import numpy as np
import pytest

from benchmarks.timing import process_megabytes


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_is_that_of_the_process_and_not_of_its_parent():
    ballast = np.ones(30_000_000)  # 240 MB
    assert process_megabytes("pass") < 100 < ballast.nbytes / 1e6
    assert process_megabytes("x = bytearray(b'1') * 150_000_000") > 140
