"""Waveform words, markers and limits of the Agilent/Keysight 81180A and 81180B, without QCoDeS."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIDDLE_CODE, TOP_CODE = 2048, 4095
MARKER_BITS = (12, 13)
STOP_BIT = 14
GROUP = 32
MARKER_OFFSET = 24
"""Marker bits of a group of 32 samples stand in its last 8 words, one for 4 samples."""

Step = tuple[int, int]


AMPLITUDES, DAC_AMPLITUDES = (0.05, 2.0), (0.05, 0.5)
"""Least and most, peak to peak into 50 Ω, V: of the DC path, and of the DAC path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveformMemory:
    """Which segments, sequences and clocks a model takes.

    Attributes
    ----------
    min_points, granularity : int
        Segment lengths are multiples of `granularity`, at least `min_points`.
    points : int
        Of all segments of a channel together (64 M with the memory option).
    max_segments : int
    min_steps, max_steps, max_loops : int
        Of a sequence.
    min_rate, max_rate : float
        Samples per second.
    rate_digits : int
        Significant digits of the sample clock.
    """

    min_points: int
    granularity: int = 32
    points: int = 16_000_000
    max_segments: int = 16_000
    min_steps: int = 3
    max_steps: int
    max_loops: int
    min_rate: float = 10e6
    max_rate: float = 4.2e9
    rate_digits: int = 8


MODEL_A = WaveformMemory(min_points=320, max_loops=1_048_575, max_steps=32_768)
MODEL_B = WaveformMemory(min_points=384, max_loops=16_777_216, max_steps=49_152)


def encode_words(
    samples: NDArray[np.float64],
    amplitude: float,
    markers: tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None] = (None, None),
) -> NDArray[np.uint16]:
    """Return the 16-bit words of a segment.

    ``code = ⌊x · 2047 + 2048.5⌋`` with x = V / (amplitude / 2), in bits 0 to 11; markers in bits 12
    and 13, four samples to a bit; the stop bit 14 in the last 32 words.

    Parameters
    ----------
    samples : ndarray of float64, shape (n,)
        V into 50 Ω, within ±amplitude / 2.
    amplitude : float
        Peak to peak that codes span, V.
    markers : tuple of ndarray of bool, shape (n,), or None
        State of each marker output by sample; a group of four is on if its first sample is.

    Returns
    -------
    ndarray of uint16, shape (n,)
    """
    codes = np.floor(samples * (2047 / (amplitude / 2)) + (MIDDLE_CODE + 0.5))
    words = np.clip(codes, 0, TOP_CODE).astype(np.uint16)
    groups = words.reshape(-1, GROUP)
    for bit, marker in zip(MARKER_BITS, markers, strict=True):
        if marker is not None:
            on = np.asarray(marker, dtype=bool)[::4].reshape(-1, GROUP // 4)
            groups[:, MARKER_OFFSET:] |= on.astype(np.uint16) << np.uint16(bit)
    groups[-1] |= np.uint16(1 << STOP_BIT)
    return words


def check_segments(
    where: str, segments: Sequence[NDArray[np.float64]], peak: float, memory: WaveformMemory
) -> None:
    """Raise ValueError, naming the channel `where`, unless all segments fit the memory and `peak`.

    Parameters
    ----------
    where : str
    segments : sequence of ndarray
        V into 50 Ω.
    peak : float
        Largest magnitude allowed, V.
    memory : WaveformMemory
    """
    if not 1 <= len(segments) <= memory.max_segments:
        message = f"{where}: `segments` must be 1 to {memory.max_segments}, but are {len(segments)}"
        raise ValueError(message)
    for number, samples in enumerate(segments, 1):
        if (
            samples.ndim != 1
            or len(samples) < memory.min_points
            or len(samples) % memory.granularity
        ):
            message = (
                f"{where}: segment {number} must be one row of at least {memory.min_points} "
                f"points, a multiple of {memory.granularity}, but has shape {samples.shape}"
            )
            raise ValueError(message)
        highest = float(np.max(np.abs(samples)))
        if not highest <= peak:
            message = (
                f"{where}: segment {number} must stay within ±{peak:g} V, but reaches {highest:g} V"
            )
            raise ValueError(message)
    total = sum(map(len, segments))
    if total > memory.points:
        message = f"{where}: {total} points must fit a memory of {memory.points} points"
        raise ValueError(message)


def check_steps(
    where: str, steps: Sequence[Step], n_segments: int, memory: WaveformMemory
) -> tuple[Step, ...]:
    """Return legal sequence steps that play the same; raise ValueError if there are none.

    A sequence has at least 3 steps: loops of shorter ones are spread over several steps.
    """
    legal: list[Step] = []
    for number, (segment, loops) in enumerate(steps, 1):
        if not 1 <= segment <= n_segments:
            message = (
                f"{where}: step {number} must play one of the {n_segments} loaded segments, "
                f"but asks for segment {segment}"
            )
            raise ValueError(message)
        if not 1 <= loops <= memory.max_loops:
            message = (
                f"{where}: step {number} must loop 1 to {memory.max_loops} times, but is to {loops}"
            )
            raise ValueError(message)
        legal.append((segment, loops))
    while len(legal) < memory.min_steps:
        at = next((at for at, (_, loops) in enumerate(legal) if loops > 1), None)
        if at is None:
            message = (
                f"{where}: a sequence must play at least {memory.min_steps} segments per trigger, "
                f"but {list(steps)} plays {len(legal)}; cut the segments into shorter ones"
            )
            raise ValueError(message)
        segment, loops = legal[at]
        legal[at : at + 1] = [(segment, 1), (segment, loops - 1)]
    if len(legal) > memory.max_steps:
        message = (
            f"{where}: a sequence must have up to {memory.max_steps} steps, but has {len(legal)}"
        )
        raise ValueError(message)
    return tuple(legal)
