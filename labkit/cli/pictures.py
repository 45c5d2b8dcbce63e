"""A recording's arrival histograms and rates, drawn with characters for any terminal."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from analysis.first_look import FirstLook

WIDTH = 72
BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_BLOCKS = " .:-=+*#@"


def blocks_for(encoding: str | None) -> str:
    """Return the characters from empty to full that an output's encoding can hold."""
    try:
        BLOCKS.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII_BLOCKS
    return BLOCKS


def draw(seen: "FirstLook", encoding: str | None = None) -> str:
    """Return the picture: per channel clicks over the trial (log scale), and rates over time."""
    return "\n".join(_lines(seen, blocks_for(encoding)))


def _lines(seen: "FirstLook", blocks: str) -> Iterator[str]:
    if seen.period is None:
        yield "arrival times: no sync in the file tells when a trial begins"
    elif len(seen.edges) > 1:
        end = seen.bins_of_interest
        yield f"clicks after the sync, 0 to {seen.edges[end] * 1e9:.6g} ns (log scale)"
        for channel, clicks in seen.arrivals.items():
            bars = _rebin(clicks[:end])
            yield f"{channel:>4} |{_bar(np.log1p(bars), blocks)}| max {int(bars.max()):,}"
        for pulse in seen.pulses:
            yield (
                f"pulse {pulse.start * 1e9:.6g} to {pulse.stop * 1e9:.6g} ns: {pulse.clicks:,} "
                f"clicks, {pulse.background:,.0f} expected from the background"
            )
        if not seen.pulses:
            yield "no pulse stands above the background"
    yield f"rates over {seen.rate_edges[-1]:.6g} s"
    for channel, rates in seen.rates.items():
        yield f"{channel:>4} |{_bar(rates, blocks)}| {rates.min():.4g} to {rates.max():.4g} 1/s"


def _rebin(clicks: NDArray[np.int64]) -> NDArray[np.int64]:
    starts = np.unique(np.linspace(0, len(clicks), WIDTH, endpoint=False).astype(int))
    return np.add.reduceat(clicks, starts)


def _bar(heights: NDArray[np.floating], blocks: str) -> str:
    top = max(float(heights.max()), 1e-300)
    steps = np.ceil(heights / top * (len(blocks) - 1)).astype(int)
    return "".join(blocks[step] for step in steps)
