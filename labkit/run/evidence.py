"""What a run's blocks say about entanglement: its verdict, every condition from its own blocks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import floor, inf, pi
from pathlib import Path
from time import monotonic
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from analysis.counting.shifted import shifted_accidentals, shifted_counts
from analysis.counts import Counts
from analysis.counts_file import PAIRS, WitnessCounts, witness_counts
from analysis.evaluation import Evaluation, evaluate
from analysis.evidence import BlockCounts, Evidence, total_of
from analysis.gates import GateSet
from analysis.tagfile import open_tags
from analysis.witness import (
    AnytimeTest,
    Condition,
    Verdict,
    judge,
)
from analysis.witness import conditions as conditions_
from analysis.witness.cells import accidentals
from labkit.run.always_valid import (
    BOUND_STEPS,
    CatchingUpError,
    KeptTest,
    TestCourse,
    keep_tests,
    kept_test,
)
from labkit.run.goal import Goal
from labkit.run.journal import PI, THETA, TURN, Block, main_setting, purpose_of, total_counts

Array = NDArray[np.float64]
Pair = tuple[Block, Block | None]

WITNESS, SPLITTING, NULL_TEST, STRAY_LIGHT, PHASE_SWEEP, BALANCE, FILTERS = (
    "witness", "splitting", "null_test", "stray_light", "phase_sweep", "balance", "filters",
)  # fmt: skip
"""Procedures whose blocks a verdict looks at."""

_SHIFTED = "shifted trials of the blocks are counted"

MOST_TESTS = 6
"""Tests kept up at a time: B may go to and fro between two steps."""

WHEN = "when"
"""Setting that tells blocks of a repeated calibration apart."""


def blocks_of(blocks: Iterable[Block], setting: Mapping[str, object]) -> list[Block]:
    """Return the good blocks of one purpose."""
    wanted = purpose_of(setting)
    return [block for block in blocks if block.good and purpose_of(block.setting) == wanted]


def pairs_of(good: Iterable[Block]) -> list[Pair]:
    """Return the k-th block at θ with the k-th at θ + π; blocks without a turn stand alone.

    One at θ whose counterpart has not been taken yet is left out.
    """
    good = list(good)
    alone = [(block, None) for block in good if TURN not in block.setting]
    at = {turn: [b for b in good if b.setting.get(TURN) == turn] for turn in (THETA, PI)}
    together = list(zip(at[THETA], at[PI], strict=False))
    return [*together] or [*alone]


def trials_of(pairs: Iterable[Pair]) -> int:
    """Return the trials of both blocks of all pairs."""
    return sum(block.trials for pair in pairs for block in pair if block is not None)


class RunJudge:
    """Judges a run again and again while it grows; what a block says is computed once.

    Parameters
    ----------
    folder : Path or None
        Run folder, in which the segments of the witness blocks are; None for none, then shifted
        trials are not measured.
    goal : Goal or None
        Of the run: whether it fixed the number of trials in advance.
    declared : mapping of str to float
        Conditions that the user vouches for.
    fixed : bool
        Whether the user vouches for a number of trials fixed in advance, whatever the goal.
    bound : float
        Largest bound.
    extra : iterable of Condition
        Further conditions.
    go_on : bool
        Whether to go on from a state of the always-valid test that is kept in the run folder, if it
        is of this run's first blocks. A result rests on no such state.

    Attributes
    ----------
    course : TestCourse
        Of the always-valid test at the last verdict's bound.
    """

    def __init__(
        self,
        folder: Path | None,
        goal: Goal | None,
        *,
        declared: Mapping[str, float] = MappingProxyType({}),
        fixed: bool = False,
        bound: float = 1.0,
        extra: Iterable[Condition] = (),
        go_on: bool = False,
    ) -> None:
        self._folder, self._goal = folder, goal
        self._kept_in = folder if go_on else None
        self._declared, self._fixed, self._extra = declared, fixed, tuple(extra)
        self._largest = min(bound, 1.0 if goal is None else goal.bound)
        self._shifted: dict[str, tuple[object, Array]] = {}
        self._counts: dict[int, tuple[object, WitnessCounts]] = {}
        self._known: dict[tuple[int, int], BlockCounts] = {}
        self._tests: dict[tuple[bool, int], KeptTest] = {}
        self.course = TestCourse(self._largest)

    def evaluate(self, blocks: Sequence[Block]) -> Evaluation | None:
        """Return the evaluation of what a run is about; None without a good block of it.

        Its verdict rests on all blocks of the run.
        """
        setting = main_setting(blocks)
        total = total_counts(list(blocks), setting)
        if total is None:
            return None
        found = evaluate(total)
        if setting.get("procedure") != WITNESS:
            return found
        return replace(found, verdict=self.verdict(blocks))

    def verdict(self, blocks: Sequence[Block], patience: float = inf) -> Verdict | None:
        """Return the verdict; None while no block at θ has its counterpart at θ + π.

        Parameters
        ----------
        blocks : sequence of Block
            All of the run.
        patience : float
            Seconds after which no further block is looked at.

        Raises
        ------
        CatchingUpError
            If there are more blocks than `patience` was enough for.
        """
        until = monotonic() + patience
        pairs = pairs_of(blocks_of(blocks, main_setting(blocks)))
        if not pairs:
            return None
        measured = [*self._conditions(blocks, until), *self._extra]
        evidence = self._evidence(blocks, pairs)
        return judge(
            evidence, measured=measured, bound=self._largest, timed=True,
            test=lambda bound: self._kept_up(evidence.blocks, bound, limits=True, until=until),
        )  # fmt: skip

    def test(self, blocks: Sequence[Block], bound: float) -> AnytimeTest:
        """Return the state of the always-valid test at a bound, after all pairs of blocks."""
        pairs = pairs_of(blocks_of(blocks, main_setting(blocks)))
        counts = tuple(self._block_counts(pair) for pair in pairs)
        return self._kept_up(counts, bound, limits=False)

    def _kept_up(
        self, blocks: tuple[BlockCounts, ...], bound: float, *, limits: bool, until: float = inf
    ) -> AnytimeTest:
        """Return the test after blocks; those that it has seen before are not added again."""
        step = floor(bound * BOUND_STEPS + 1e-9)
        kept = self._tests.pop((limits, step), None)
        if kept is None or blocks[: len(kept.blocks)] != kept.blocks:
            kept = None
            if limits and self._kept_in is not None:
                kept = kept_test(self._kept_in, step, blocks)
            kept = kept or KeptTest(step, limits=limits)
        self._tests[limits, step] = kept
        while len(self._tests) > MOST_TESTS:
            del self._tests[next(iter(self._tests))]
        if limits:
            self.course = kept.course
        kept.add(blocks, until, with_course=limits)
        return kept.test

    def keep(self, blocks: Sequence[Block]) -> None:
        """Keep the state of the test in the run folder, so that who looks does not begin anew.

        To be called by the run itself, now and then: who only looks writes nothing.
        """
        if self._folder is not None and self.verdict(blocks) is not None:
            keep_tests(self._folder, [t for (limits, _), t in self._tests.items() if limits])

    def bound(self, blocks: Sequence[Block]) -> float:
        """Return the bound B that the set-up demands, as far as it is measured."""
        verdict = self.verdict(blocks)
        return self._largest if verdict is None else verdict.bound

    def _evidence(self, blocks: Sequence[Block], pairs: Sequence[Pair]) -> Evidence:
        dim, bright = (
            [b.witness for b in blocks if b.good and _is(b, NULL_TEST, light=light)]
            for light in ("laser", "bright laser")
        )
        return Evidence(
            blocks=tuple(self._block_counts(pair) for pair in pairs),
            laser_only=total_of(dim) if dim else None,
            laser_only_bright=total_of(bright) if dim and bright else None,
            declared=self._declared,
            trials_fixed_in_advance=self._fixed or self._planned(pairs),
        )

    def _block_counts(self, pair: Pair) -> BlockCounts:
        """Return the counts of a pair, the same object as long as they are the same."""
        theta, turned = pair
        number = theta.number, 0 if turned is None else turned.number
        counts = self._counts_of(theta), None if turned is None else self._counts_of(turned)
        known = self._known.get(number)
        if known is None or known.theta is not counts[0] or known.pi is not counts[1]:
            known = self._known[number] = BlockCounts(theta=counts[0], pi=counts[1])
        return known

    def _counts_of(self, block: Block) -> WitnessCounts:
        """Return a block's counts, unpacked once: one that was counted again is another."""
        known = self._counts.get(block.number)
        if known is None or known[0] is not block.held:
            known = self._counts[block.number] = block.held, block.witness
        return known[1]

    def _planned(self, pairs: Sequence[Pair]) -> bool:
        """Whether the run's goal fixed the number of trials, and the run has come to it."""
        goal = self._goal
        return goal is not None and goal.fixed and trials_of(pairs) >= (goal.trials or 0.0)

    def _conditions(self, blocks: Sequence[Block], until: float) -> list[Condition]:
        mine = blocks_of(blocks, main_setting(blocks))
        good = _telling(blocks, mine)
        found = single_arm_conditions(good, mine)
        if self._planned(pairs_of(mine)):
            found.append(_fixed_by_goal())
        if mine:
            found += _background(good, lambda: total_of(map(self._counts_of, mine)))
        if self._folder is not None and mine and _numbers_trials(self._folder / mine[0].segment):
            found.append(self._null_shuffled(self._folder, mine, until))
        if any(TURN in block.setting for block in mine):
            found = [_cancelled(one) if one.name == "splitting" else one for one in found]
        else:
            found += _scan(good)
        return [one for one in found if one.source != conditions_.NOT_MEASURED]

    def _null_shuffled(self, folder: Path, mine: Sequence[Block], until: float) -> Condition:
        self._note_shifted([block for block in mine if block.shifted is not None])
        for done, block in enumerate(mine, 1):
            new = block.shifted is None and self._learn_shifted(folder, block)
            if new and done < len(mine) and monotonic() > until:
                raise CatchingUpError(_SHIFTED, done, len(mine))
        found = np.array([self._shifted[block.segment][1] for block in mine])
        (same, expected_same), (crossed, expected_crossed) = found.sum(axis=0).tolist()
        return conditions_.null_shuffled([(same, expected_same), (crossed, expected_crossed)])

    def _note_shifted(self, blocks: Sequence[Block]) -> None:
        """Note what the journal says of blocks, all that are new at once."""
        new = [block for block in blocks if not self._has_shifted(block)]
        if not new:
            return
        clicks = [self._counts_of(block) for block in new]
        weights = {n: shifted_accidentals(1, 1, n).item() for n in {one.trials for one in clicks}}
        pairs = np.array([block.shifted for block in new], float)
        read = np.array([one.read for one in clicks], float)
        pump = np.array([one.pump for one in clicks], float)
        weight = np.array([weights[one.trials] for one in clicks])[:, np.newaxis, np.newaxis]
        expected = weight * (read[:, :, np.newaxis] * pump[:, np.newaxis, :])
        self._take_shifted(new, pairs, expected)

    def _learn_shifted(self, folder: Path, block: Block) -> bool:
        """Count a block of an older journal; return whether that was needed."""
        if self._has_shifted(block):
            return False
        counts = shifted_counts(folder / block.segment, block.gates, block.trials)
        pairs, expected = counts.pairs.astype(float), counts.accidentals
        self._take_shifted([block], pairs[np.newaxis], expected[np.newaxis])
        return True

    def _has_shifted(self, block: Block) -> bool:
        known = self._shifted.get(block.segment)
        return known is not None and known[0] is block.held

    def _take_shifted(self, blocks: Sequence[Block], pairs: Array, expected: Array) -> None:
        """Note pairs and accidentals of the low, then of the high cells of blocks."""
        both = np.stack([pairs, expected], axis=1)  # block, kind, read detector, pump detector
        turned = np.array([block.setting.get(TURN) == PI for block in blocks])
        both[turned] = both[turned, :, ::-1]  # the read detectors exchange their roles
        same, crossed = (
            np.trace(both, axis1=2, axis2=3),
            np.trace(both[:, :, ::-1], axis1=2, axis2=3),
        )
        for block, cells in zip(blocks, np.stack([same, crossed], axis=1), strict=True):
            self._shifted[block.segment] = block.held, cells


def _telling(blocks: Iterable[Block], mine: Sequence[Block]) -> list[Block]:
    """Return the good blocks that are of no witness, and of `mine` the first after each."""
    numbers, found, follows = {block.number for block in mine}, list[Block](), True
    for block in blocks:
        if block.good and not _is(block, WITNESS):
            found.append(block)
            follows = True
        elif follows and block.number in numbers:
            found.append(block)
            follows = False
    return found


def _numbers_trials(segment: Path) -> bool:
    """Whether a segment is T3; without sync numbers the shifted trials stay not measured."""
    return open_tags(segment).layout.mode == "T3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What was measured from one balance of the arms to the next.

    Attributes
    ----------
    balanced : tuple of Block
        The last step of the balance.
    others : tuple of Block
        All blocks after it.
    """

    balanced: tuple[Block, ...]
    others: tuple[Block, ...]

    def conditions(self, when: object = "") -> list[Condition]:
        """Return pump_balance, read_balance, splitting and device_ratio of its single arms.

        Parameters
        ----------
        when : str
            Which repetition; the first one shares its pump clicks with the balance.
        """
        mine = [b for b in self.others if _is(b, SPLITTING) and b.setting.get(WHEN, "") == when]
        both, leaks = (
            [[b.witness for b in mine if _is(b, SPLITTING, arm=arm, light=light)] for arm in "AB"]
            for light in ("both", "leaks")
        )
        if not all(both):
            return []
        a, b = (total_of(counts) for counts in both)
        dark = (total_of(leaks[0]), total_of(leaks[1])) if all(leaks) else None
        alone = [self._pump_alone(mine, arm, when) for arm in "AB"]
        pump_a, pump_b = (total_of(c) for c in alone) if all(alone) else (a, b)
        return [
            conditions_.flux_difference("pump_balance", "pump", pump_a, pump_b),
            conditions_.flux_difference("read_balance", "read", a, b, dark),
            conditions_.splitting(a, b),
            conditions_.device_ratio(a, b),
        ]

    def _pump_alone(self, mine: Iterable[Block], arm: str, when: object) -> list[WitnessCounts]:
        found = [b for b in mine if _is(b, SPLITTING, arm=arm, light="pump")]
        if not when:
            found += [b for b in self.balanced if _is(b, BALANCE, arm=arm)]
        return [_pump_only(block.counts) for block in found]


def epochs(good: Iterable[Block]) -> list[Epoch]:
    """Divide blocks at every balance of the arms, which moves the attenuators.

    Filters that are tuned within a balance do not end it.
    """
    parts: list[tuple[list[Block], list[Block]]] = [([], [])]
    for block in good:
        if _is(block, BALANCE):
            if not all(_is(other, FILTERS) for other in parts[-1][1]):
                parts.append(([], []))
            parts[-1][0].append(block)
        else:
            parts[-1][1].append(block)
    return [
        Epoch(
            balanced=tuple(b for b in balanced if _attenuators(b) == _attenuators(balanced[-1])),
            others=tuple(others),
        )
        for balanced, others in parts
    ]


def single_arm_conditions(good: Sequence[Block], mine: Sequence[Block]) -> list[Condition]:
    """Return what single arms tell about the witness blocks `mine`, the worst of all epochs.

    What is not known of one of their epochs is not known.
    """
    numbers = {block.number for block in mine}
    worst: dict[str, Condition] = {}
    first = True
    for epoch in epochs(good):
        if not any(block.number in numbers for block in epoch.others):
            continue
        repeated = dict.fromkeys(b.setting.get(WHEN, "") for b in epoch.others if _is(b, SPLITTING))
        now: dict[str, Condition] = {}
        for when in repeated:
            for one in epoch.conditions(when):
                if one.source != conditions_.NOT_MEASURED:
                    now[one.name] = max(now.get(one.name, one), one, key=_badness)
        known = now.keys() if first else now.keys() & worst.keys()
        worst = {n: max(worst.get(n, now[n]), now[n], key=_badness) for n in known}
        first = False
    return list(worst.values())


def _attenuators(block: Block) -> tuple[object, ...]:
    return tuple(block.setting.get(f"transmission_{arm}") for arm in "AB")


def _pump_only(counts: Counts) -> WitnessCounts:
    """Return pump clicks; blocks of the pump pulse alone have no read gate."""
    return WitnessCounts(
        trials=counts.trials.number,
        pump=(counts.single("pump", 1), counts.single("pump", 2)),
        read=(0, 0),
        coincidences=dict.fromkeys(PAIRS, 0),
    )


def _badness(condition: Condition) -> float:
    value = condition.value if isinstance(condition.value, float) else 0.0
    return abs(value - 0.5) if condition.name == "splitting" else condition.high or value


def _background(good: Sequence[Block], count: Callable[[], WitnessCounts]) -> list[Condition]:
    """Return the background's share of the clicks of the witness blocks, worst of repetitions."""
    run: WitnessCounts | None = None
    found = []
    for when in dict.fromkeys(b.setting.get(WHEN, "") for b in good if _is(b, STRAY_LIGHT)):
        parts = [b for b in good if _is(b, STRAY_LIGHT) and b.setting.get(WHEN, "") == when]
        if {b.setting["light"] for b in parts} == {"leaks", "closed"}:
            dark = background_counts([b.counts for b in parts])
            if run is None:
                run = count()
            found.append(conditions_.background(dark, run))
    return [max(found, key=_badness)] if found else []


def background_counts(parts: Sequence[Counts]) -> WitnessCounts:
    """Return the clicks of leaks (filters beside the line) and of stray light (arms closed).

    Both kinds were measured in as many trials, which count once.
    """
    total = total_of(map(witness_counts, parts))
    return replace(total, trials=total.trials // 2)


def _scan(good: Sequence[Block]) -> list[Condition]:
    """Return the fringe of the last phase scan, its points over one turn."""
    points: dict[float, WitnessCounts] = {}
    for block in good:
        if _is(block, PHASE_SWEEP):
            points[float(block.setting["delta_phi"])] = block.witness
    phases = sorted(points)
    if len(phases) > 1 and phases[-1] - phases[0] > 2 * pi - 1e-6:
        phases.pop()  # the same phase again
    sums = {"same": ("r1p1", "r2p2"), "crossed": ("r2p1", "r1p2")}
    counted = {
        name: [sum(points[phi].coincidences[p] for p in pairs) for phi in phases]
        for name, pairs in sums.items()
    }
    expected = {
        name: [sum(accidentals(points[phi], p) for p in pairs) for phi in phases]
        for name, pairs in sums.items()
    }
    return [
        conditions_.fringe_of_scan(
            phases, counted["same"], expected["same"], counted["crossed"], expected["crossed"]
        )
    ]


def _is(block: Block, procedure: str, **settings: str) -> bool:
    setting = block.setting
    return setting.get("procedure") == procedure and all(
        setting.get(name) == value for name, value in settings.items()
    )


def _fixed_by_goal() -> Condition:
    name = "fixed_or_always"
    return Condition(
        name=name, value="fixed", demand=conditions_.DEMANDS[name], met=True,
        source=conditions_.THIS_RUN,
    )  # fmt: skip


def _cancelled(splitting: Condition) -> Condition:
    """Return the splitting of a run at θ and θ + π, which cancel it."""
    return replace(splitting, demand="none: θ and θ + π cancel it", met=True, problem="")


def gates_changed(run: GateSet, now: GateSet) -> list[Condition]:
    """Return a condition that fails if a run is counted with other gates than it was taken with."""
    if run == now:
        return []
    return [
        Condition(
            name="gates", value="changed", demand="those of the run", met=False,
            source=conditions_.THIS_RUN, problem="gates were changed after the run",
        )
    ]  # fmt: skip
