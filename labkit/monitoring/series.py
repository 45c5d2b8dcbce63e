"""What a run's blocks tell over time: click rates, lock, temperature, lasers."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import sqrt

from labkit.run import Block, main_setting

LASER = "_laser_hz"
"""End of the name of a monitor that is a laser's frequency."""

_COLUMNS = ("block", "time", "value", "sigma", "good")

Value = Callable[[Block], tuple[float, float] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One quantity, block by block; blocks that do not have it are passed over.

    Attributes
    ----------
    label, unit : str
    block : tuple of int
        Block numbers.
    time : tuple of float
        When each block began, Unix time, s.
    value : tuple of float
    sigma : tuple of float
        Standard deviations; 0 where a value is a plain reading.
    good : tuple of bool
        Whether the block counts.
    offset : float
        What has been subtracted from every value.
    """

    label: str
    unit: str
    block: tuple[int, ...]
    time: tuple[float, ...]
    value: tuple[float, ...]
    sigma: tuple[float, ...]
    good: tuple[bool, ...]
    offset: float = 0.0

    def since(self, time: float) -> "Series":
        """Return the part that began at a Unix time, s, or later."""
        first = bisect_left(self.time, time)
        parts = {name: getattr(self, name)[first:] for name in _COLUMNS}
        return replace(self, **parts)

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "label": self.label, "unit": self.unit, "offset": self.offset,
            "block": list(self.block), "time": list(self.time), "value": list(self.value),
            "sigma": list(self.sigma), "good": list(self.good),
        }  # fmt: skip


class Rates:
    """Click rates of blocks; a block's counts are unpacked once, however often it is looked at."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, float, dict[tuple[str, int], int]]] = {}

    def of(self, gate: str, detector: int) -> Value:
        """Return what gives a block's rate and its standard deviation, 1/s."""

        def rate(block: Block) -> tuple[float, float] | None:
            _, seconds, singles = self._clicks(block)
            clicks = singles.get((gate, detector))
            if not seconds or clicks is None:
                return None
            return clicks / seconds, sqrt(clicks + 1) / seconds

        return rate

    def _clicks(self, block: Block) -> tuple[object, float, dict[tuple[str, int], int]]:
        """Return the counts as held, the seconds, and the clicks by gate and detector."""
        known = self._known.get(block.number)
        if known is None or known[0] is not block.held:
            gates = block.gates
            clicks = dict(zip(gates.cells, block.singles.ravel().tolist(), strict=True))
            known = self._known[block.number] = block.held, block.trials * gates.period, clicks
        return known


def series_of(blocks: Sequence[Block], rates: Rates | None = None) -> dict[str, Series]:
    """Return all series of a run by name.

    ``rate.pump1``, …: click rate of a gate and detector, 1/s of measured time, with the standard
    deviation of its posterior under a flat prior, √(n + 1) / T. Rates, ``phase_noise`` and
    ``lock_output`` are of the blocks of the procedure that the run is about (others block an arm
    or scan); ``temperature`` and ``laser.pump``, … (relative to the first) of all blocks. `rates`
    keeps what earlier looks at the same run have unpacked.
    """
    rates = Rates() if rates is None else rates
    procedure = main_setting(blocks).get("procedure")
    main = [block for block in blocks if block.setting.get("procedure") == procedure]
    times = {block.number: began(block) for block in blocks}

    def one(
        label: str, unit: str, of: Sequence[Block], value: Value, offset: float = 0.0
    ) -> Series:
        points = [(block, found) for block in of if (found := value(block)) is not None]
        return Series(
            label=label,
            unit=unit,
            block=tuple(block.number for block, _ in points),
            time=tuple(times[block.number] for block, _ in points),
            value=tuple(found[0] for _, found in points),
            sigma=tuple(found[1] for _, found in points),
            good=tuple(block.good for block, _ in points),
            offset=offset,
        )

    found = {
        f"rate.{gate}{d}": one(f"{gate} {d}", "1/s", main, rates.of(gate, d))
        for gate, d in (main[-1].gates.cells if main else ())
    }
    found["phase_noise"] = one("phase noise", "rad", main, _monitor("phase_noise"))
    found["lock_output"] = one("lock output", "V", main, _monitor("lock_output"))
    found["temperature"] = one("mixing chamber", "K", blocks, _monitor("temperature"))
    for name in _lasers(blocks):
        laser = name.removesuffix(LASER)
        first = next(block.monitors[name] for block in blocks if name in block.monitors)
        found[f"laser.{laser}"] = one(f"{laser} laser", "Hz", blocks, _monitor(name, first), first)
    return {name: series for name, series in found.items() if series.value}


def began(block: Block) -> float:
    """Return when a block began, Unix time, s."""
    return datetime.fromisoformat(block.started).timestamp()


def ended(block: Block) -> float:
    """Return when a block ended, Unix time, s."""
    return datetime.fromisoformat(block.ended).timestamp()


def _lasers(blocks: Iterable[Block]) -> list[str]:
    return sorted({name for block in blocks for name in block.monitors if name.endswith(LASER)})


def _monitor(name: str, offset: float = 0.0) -> Value:
    def reading(block: Block) -> tuple[float, float] | None:
        return (block.monitors[name] - offset, 0.0) if name in block.monitors else None

    return reading
