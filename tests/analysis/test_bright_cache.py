"""numba caches a loop by the content of its own file: what it takes from others must show there."""

from pathlib import Path
from zlib import crc32

import pytest

from analysis.counting import compiled, t2_loops, t3_loops
from analysis.counting.tally import MISSING_GAP, NONE, S
from analysis.counts import DOUBLED_GAP
from analysis.tagfile.layouts import MARKER, SYNC


@pytest.mark.parametrize("loops", [t2_loops, t3_loops])
def test_compiled_loops_name_what_they_were_built_with(loops):
    taken = (
        [(place.name, int(place)) for place in S],
        MISSING_GAP,
        NONE,
        DOUBLED_GAP,
        MARKER,
        SYNC,
        Path(compiled.__file__).read_text(encoding="utf-8"),
    )
    found = crc32(repr(taken).encode())
    assert found == loops.BUILT_WITH, f"set BUILT_WITH = 0x{found:08X} in {loops.__file__}"
