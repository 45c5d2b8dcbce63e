"""numba caches a loop by the content of its own file: what it takes from others must show there."""

from pathlib import Path
from zlib import crc32

import pytest

from analysis.counting import bright_t2, bright_t3, finished_trial
from analysis.counting.tally import MISSING_GAP, NONE, S
from analysis.quality import DOUBLED_GAP
from analysis.tagfile.layouts import MARKER, SYNC


@pytest.mark.parametrize("loop", [bright_t2, bright_t3])
def test_compiled_loops_name_what_they_were_built_with(loop):
    source = Path(finished_trial.__file__).read_text(encoding="utf-8")
    taken = (list(S), MISSING_GAP, NONE, DOUBLED_GAP, MARKER, SYNC, source)
    found = crc32(repr(taken).encode())
    assert found == loop.BUILT_WITH, f"set BUILT_WITH = 0x{found:08X} in {loop.__file__}"
