"""The always-valid test of a run, block by block; its state can be kept beside the run."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar

import numpy as np

import labkit
from analysis.counts_file import PAIRS, WitnessCounts
from analysis.evidence import BlockCounts
from analysis.witness import AnytimeTest, anytime_test
from analysis.witness.cells import cells_of_blocks
from labkit.run.lines import framed, read_lines

KEPT = "always_valid.jsonl"
"""In a run folder; can be made anew at any time, and goes for nothing if the blocks are others."""

KEEP_EVERY = 512
"""Good blocks of a witness after which the state of its test is kept."""

BOUND_STEPS = 200
"""The always-valid test is kept up at the multiples of 1/200 on either side of B.

B follows the counts: at every new value all blocks would have to be added anew.
"""

_ADDED = "blocks are added to the always-valid test"

MOST_TEST_POINTS = 400
"""So many states of the always-valid test are kept for a picture, evenly spaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestPoint:
    """The always-valid test after so many trials: limit of R at 95 %, log E at the bound now."""

    __test__: ClassVar = False  # no test of pytest's

    trials: int
    upper_limit: float
    log_e: float


class TestCourse:
    """States of the always-valid test, every one or every 2nd, 4th, … pair of blocks, and the last.

    Parameters
    ----------
    bound : float
        Of which log E is told.

    Attributes
    ----------
    trials : int
        Of the last state.
    """

    __test__: ClassVar = False

    def __init__(self, bound: float) -> None:
        self._bound = bound
        self._kept: list[TestPoint] = []
        self._last: AnytimeTest | None = None
        self._stride, self._seen, self.trials = 1, 0, 0

    def to_dict(self) -> dict[str, object]:
        """Return plain types; an infinite limit is none."""
        points = [
            asdict(one) | ({"upper_limit": None} if one.upper_limit == inf else {})
            for one in self._kept
        ]
        return {
            "points": points, "stride": self._stride, "seen": self._seen, "trials": self.trials,
        }  # fmt: skip

    def restore(self, plain: Mapping[str, Any], last: AnytimeTest) -> None:
        """Go on from what `to_dict` returned and the state that belongs to it."""
        self._kept = [
            TestPoint(**one | ({"upper_limit": inf} if one["upper_limit"] is None else {}))
            for one in plain["points"]
        ]
        self._stride, self._seen = int(plain["stride"]), int(plain["seen"])
        self.trials, self._last = int(plain["trials"]), last

    def add(self, trials: int, test: AnytimeTest) -> None:
        """Add the state after so many more trials."""
        self.trials += trials
        self._seen += 1
        self._last = test
        if self._seen % self._stride == 0:
            self._kept.append(self._point(test))
        if len(self._kept) > MOST_TEST_POINTS:
            self._kept, self._stride = self._kept[1::2], 2 * self._stride

    @property
    def points(self) -> tuple[TestPoint, ...]:
        """What is kept, with the last state."""
        if self._last is None or self._kept[-1:] == [(last := self._point(self._last))]:
            return tuple(self._kept)
        return (*self._kept, last)

    def _point(self, test: AnytimeTest) -> TestPoint:
        limit, log_e = test.upper_limit(), test.log_e_at(self._bound)
        return TestPoint(trials=self.trials, upper_limit=limit, log_e=log_e)


class CatchingUpError(RuntimeError):
    """A judge has looked at some blocks, but not at all of them yet; it goes on when asked again.

    Parameters
    ----------
    what : str
        What is done with the blocks.
    done, blocks : int
    """

    def __init__(self, what: str, done: int, blocks: int) -> None:
        super().__init__(f"no verdict yet: {what}, {done:,} of {blocks:,} so far")


class KeptTest:
    """The always-valid test after some blocks, and how it came there.

    Parameters
    ----------
    step : int
        Of its bound, in units of 1/200.
    limits : bool
        Whether upper limits are wanted.
    """

    def __init__(self, step: int, *, limits: bool) -> None:
        self.step = step
        around = [n / BOUND_STEPS for n in (step, step + 1) if n <= BOUND_STEPS]
        self.test = anytime_test(*around, limits=limits)
        self.course = TestCourse(around[0])
        self.blocks: tuple[BlockCounts, ...] = ()

    def add(self, blocks: tuple[BlockCounts, ...], until: float, *, with_course: bool) -> None:
        """Add those of `blocks` that come after the ones that it has seen."""
        first = len(self.blocks)
        if first == len(blocks):
            return
        cells = cells_of_blocks((new.theta, new.pi) for new in blocks[first:])
        for done, new in enumerate(blocks[first:], first + 1):
            self.test = self.test.add(cells[done - first - 1])
            if with_course:
                self.course.add(_trials(new), self.test)
            if done < len(blocks) and monotonic() > until:
                self.blocks = blocks[:done]
                raise CatchingUpError(_ADDED, done, len(blocks))
        self.blocks = blocks


def _trials(counts: BlockCounts) -> int:
    return counts.theta.trials + (0 if counts.pi is None else counts.pi.trials)


def keep_tests(folder: Path, tests: Iterable[KeptTest]) -> None:
    """Keep the states of tests in a run folder, if one may write there."""
    lines = [
        framed({
            "labkit": labkit.__version__, "step": one.step, "blocks": len(one.blocks),
            "of": digest_of(one.blocks), "test": one.test.to_dict(),
            "course": one.course.to_dict(),
        })
        for one in tests
    ]  # fmt: skip
    part = folder / f".{KEPT}.part"
    with contextlib.suppress(OSError):
        part.write_text("".join(lines), encoding="utf-8")
        part.replace(folder / KEPT)


def kept_test(folder: Path, step: int, blocks: tuple[BlockCounts, ...]) -> KeptTest | None:
    """Return a kept test of the first of these blocks; None if there is none, or it is damaged.

    It must have been made by this labkit, of the very counts that the blocks have now.
    """
    for line in read_lines(folder / KEPT):
        plain = line.plain
        if plain.get("labkit") != labkit.__version__ or plain.get("step") != step:
            continue
        number = plain.get("blocks")
        first = blocks[:number] if isinstance(number, int) and 0 < number <= len(blocks) else ()
        if not first or plain.get("of") != digest_of(first):
            continue
        found = KeptTest(step, limits=True)
        try:
            test = AnytimeTest.from_dict(plain["test"])
            found.course.restore(plain["course"], test)
        except (KeyError, TypeError, ValueError):
            continue
        if _belongs(test, found.test) and test.blocks + test.skipped == number:
            found.test, found.blocks = test, first
            return found
    return None


def digest_of(blocks: Sequence[BlockCounts]) -> str:
    """Return the SHA-256 of all counts of pairs of blocks, in their order."""
    numbers = [[*_numbers(one.theta), *_numbers(one.pi)] for one in blocks]
    return sha256(np.array(numbers, "<i8").tobytes()).hexdigest()


def _numbers(counts: WitnessCounts | None) -> tuple[int, ...]:
    if counts is None:
        return (-1,) * (5 + len(PAIRS))
    return (
        counts.trials, *counts.pump, *counts.read, *(counts.coincidences[pair] for pair in PAIRS)
    )  # fmt: skip


def _belongs(test: AnytimeTest, fresh: AnytimeTest) -> bool:
    """Whether a state is one of a test that begins like a fresh one."""
    return (
        test.bounds == fresh.bounds
        and test.alternatives == fresh.alternatives
        and test.logs.shape == fresh.logs.shape
        and test.largest.shape == fresh.largest.shape
        and not np.isnan(test.logs).any()
        and not np.isnan(test.largest).any()
    )
