"""Counts in few bytes, for the journal: all numbers of a block as one packed vector."""

from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from types import MappingProxyType
from typing import Any
from zlib import compress, decompress, decompressobj
from zlib import error as ZlibError  # noqa: N812  # the library's own name is not that of an error

import numpy as np
from numpy.typing import NDArray

from analysis.counts import Counts, Quality, Trials
from analysis.counts_file import PAIRS, WitnessCounts, witness_counts
from analysis.gates import GateSet

_TRIALS = ("number", "low", "high")
_SUMS = tuple(name for name in Quality.__dataclass_fields__ if name != "warnings")
_TABLES = ("singles", "pairs", "repeated", "histogram")

_TOGETHER = 256
"""Blocks whose numbers are added at once."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bins:
    """What the counts of many blocks share: gates and time bins.

    Attributes
    ----------
    gates : GateSet
    edges : ndarray of float64
    gate_of_bin : ndarray of int8
    """

    gates: GateSet
    edges: NDArray[np.float64]
    gate_of_bin: NDArray[np.int8]

    @classmethod
    def of(cls, counts: Counts) -> "Bins":
        """Return the bins of counts."""
        return cls(gates=counts.gates, edges=counts.bin_edges, gate_of_bin=counts.gate_of_bin)

    def fit(self, counts: Counts) -> bool:
        """Tell whether counts have these bins."""
        return (
            self.gates == counts.gates
            and np.array_equal(self.edges, counts.bin_edges)
            and np.array_equal(self.gate_of_bin, counts.gate_of_bin)
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "gates": self.gates.to_dict(), "bin_edges": self.edges.tolist(),
            "gate_of_bin": self.gate_of_bin.tolist(),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], where: str) -> "Bins":
        """Read what `to_dict` returned; `where` names its origin in errors."""
        return cls(
            gates=GateSet.from_dict(plain["gates"], where=where),
            edges=np.array(plain["bin_edges"], np.float64),
            gate_of_bin=np.array(plain["gate_of_bin"], np.int8),
        )

    @cached_property
    def _shapes(self) -> tuple[tuple[int, ...], ...]:
        gates, detectors = len(self.gates.names), len(self.gates.detectors)
        cells = gates * detectors
        table = (gates, detectors)
        return table, (cells, cells), table, (detectors, len(self.gate_of_bin))

    @cached_property
    def length(self) -> int:
        """Numbers in the vector of one block."""
        return len(_TRIALS) + len(_SUMS) + sum(int(np.prod(shape)) for shape in self._shapes)

    @cached_property
    def _nine(self) -> NDArray[np.int64]:
        """Where the numbers of the witness stand: each number of these counts is its own place."""
        places = np.arange(self.length)
        nine = witness_counts(self.counts(places, "", ()))
        return np.array([*nine.pump, *nine.read, *nine.coincidences.values()])

    def witness(self, vector: NDArray[np.int64]) -> WitnessCounts:
        """Return the counts that the witness needs, of a vector of numbers, or of its beginning."""
        pump_1, pump_2, read_1, read_2, *pairs = vector[self._nine].tolist()
        return WitnessCounts(
            trials=int(vector[0]), pump=(pump_1, pump_2), read=(read_1, read_2),
            coincidences=MappingProxyType(dict(zip(PAIRS, pairs, strict=True))),
        )  # fmt: skip

    @cached_property
    def length_of_singles(self) -> int:
        """Numbers up to the end of the table of singles, the first one."""
        gates, detectors = self._shapes[0]
        return len(_TRIALS) + len(_SUMS) + gates * detectors

    @cached_property
    def length_of_witness(self) -> int:
        """Numbers up to the last one that the witness needs."""
        return int(self._nine.max()) + 1

    def singles(self, vector: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the table of singles of a vector of numbers, or of its beginning.

        Of vectors side by side, shape (numbers, blocks), it has an axis of blocks at its end.
        """
        table = vector[len(_TRIALS) + len(_SUMS) : self.length_of_singles]
        return table.reshape(*self._shapes[0], *vector.shape[1:])

    def counts(self, vector: NDArray[np.int64], source: str, warnings: tuple[str, ...]) -> Counts:
        """Return the counts of a vector of numbers."""
        numbers = [int(number) for number in vector[: len(_TRIALS) + len(_SUMS)]]
        tables, at = {}, len(numbers)
        for name, shape in zip(_TABLES, self._shapes, strict=True):
            size = int(np.prod(shape))
            tables[name] = vector[at : at + size].reshape(shape)
            at += size
        trials = dict(zip(_TRIALS, numbers, strict=False))
        sums = dict(zip(_SUMS, numbers[len(_TRIALS) :], strict=True))
        return Counts(
            gates=self.gates, trials=Trials(**trials, source=source),
            quality=Quality(**sums, warnings=warnings),
            bin_edges=self.edges, gate_of_bin=self.gate_of_bin, **tables,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Packed:
    """The counts of a block as they stand in the journal.

    Attributes
    ----------
    bins : Bins
    text : str
        The vector: int64, little-endian, deflated, in base 64.
    number : int
        Trials.
    source : str
        Of the number of trials.
    warnings : tuple of str
    """

    bins: Bins
    text: str
    number: int
    source: str
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, counts: Counts, bins: Bins) -> "Packed":
        """Pack counts that have these bins."""
        trials, quality = counts.trials, counts.quality
        numbers = [getattr(trials, name) for name in _TRIALS]
        numbers += [getattr(quality, name) for name in _SUMS]
        tables = [getattr(counts, name).ravel() for name in _TABLES]
        vector = np.concatenate([np.array(numbers, np.int64), *tables]).astype("<i8")
        text = b64encode(compress(vector.tobytes(), 6)).decode("ascii")
        return cls(
            bins=bins, text=text, number=trials.number, source=trials.source,
            warnings=quality.warnings,
        )  # fmt: skip

    def vector(self) -> NDArray[np.int64]:
        """Return the numbers.

        Raises
        ------
        ValueError
            If the text is none of a block with these bins.
        """
        return _numbers(self.unpacked())

    def unpacked(self) -> bytes:
        """Return the bytes of the numbers; raises as `vector` does."""
        found = _inflated(self.text, 8 * self.bins.length)
        if len(found) != 8 * self.bins.length or _first(found) != self.number:
            message = (
                f"the counts of a block must be {self.bins.length} numbers, the first of them its "
                f"{self.number} trials, but are {len(found) / 8:g}"
            )
            raise ValueError(message)
        return found

    def beginning(self, length: int) -> bytes:
        """Return the bytes of the first so many numbers; what comes after is not unpacked."""
        found = _inflated(self.text, 8 * length, whole=False)
        if len(found) != 8 * length or _first(found) != self.number:
            message = (
                f"the counts of a block must be {self.bins.length} numbers, the first of them its "
                f"{self.number} trials, but are others"
            )
            raise ValueError(message)
        return found

    def singles(self) -> NDArray[np.int64]:
        """Return the clicks by gate and detector, shape (gates, detectors)."""
        return self.bins.singles(_numbers(self.beginning(self.bins.length_of_singles)))

    def witness(self) -> WitnessCounts:
        """Return the counts that the witness needs, without all others.

        Raises
        ------
        ValueError
            If there are no gates pump and read, or no detectors 1 and 2.
        """
        return self.bins.witness(_numbers(self.beginning(self.bins.length_of_witness)))

    def counts(self) -> Counts:
        """Unpack."""
        return self.bins.counts(self.vector(), self.source, self.warnings)


def _inflated(text: str, length: int, *, whole: bool = True) -> bytes:
    """Return the bytes of a packed text, which must not be a small text for endless bytes.

    Parameters
    ----------
    text : str
    length : int
        Bytes that are expected, or of which `whole` says that there may be more.
    whole : bool
    """
    try:
        packed = a2b_base64(text, strict_mode=True)
        if not whole:
            return decompressobj().decompress(packed, length)
        if len(packed) > length + 1000:
            message = f"the packed counts are longer than {length} bytes of numbers can be"
            raise ValueError(message)
        return decompress(packed, bufsize=length)
    except (ZlibError, ValueError) as error:
        message = f"the counts of a block cannot be unpacked: {error}"
        raise ValueError(message) from None


def _numbers(unpacked: bytes) -> NDArray[np.int64]:
    return np.frombuffer(unpacked, "<i8").astype(np.int64)


def _first(numbers: bytes) -> int:
    return int.from_bytes(numbers[:8], "little", signed=True)


def added(packed: Iterable[Packed]) -> Counts | None:
    """Return the sum of packed counts with the same bins, as adding `Counts` gives; None of none.

    Raises
    ------
    ValueError
        If the bins differ.
    """
    bins: Bins | None = None
    sources: dict[str, None] = {}
    warnings: list[str] = []
    total: NDArray[np.int64] | None = None
    for group in _groups(packed):
        for one in group:
            if bins is not None and one.bins is not bins:
                message = "packed counts to be added must have the same bins"
                raise ValueError(message)
            bins = one.bins
            sources.update(dict.fromkeys(one.source.split("; ")))
            warnings += one.warnings
        numbers = np.frombuffer(b"".join([one.unpacked() for one in group]), "<i8")
        part = numbers.reshape(len(group), -1).sum(axis=0, dtype=np.int64)
        total = part if total is None else total + part
    if total is None or bins is None:
        return None
    return bins.counts(total, "; ".join(sources), tuple(warnings))


def singles_of(packed: Sequence[Packed]) -> NDArray[np.int64]:
    """Return the clicks of packed counts with the same bins, shape (blocks, gates, detectors)."""
    bins = packed[0].bins
    length = bins.length_of_singles
    numbers = _numbers(b"".join([one.beginning(length) for one in packed])).reshape(-1, length)
    return bins.singles(numbers.T).transpose(2, 0, 1)


def _groups(packed: Iterable[Packed]) -> Iterator[list[Packed]]:
    rest = iter(packed)
    while group := list(islice(rest, _TOGETHER)):
        yield group
