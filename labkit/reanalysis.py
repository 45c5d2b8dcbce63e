"""A run's verdict again: its segments counted anew, with its own gates or with others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from analysis.counting import count
from analysis.counts import Counts
from analysis.evaluation import Evaluation
from analysis.gates import GateSet
from labkit.monitoring.monitor import goal_of
from labkit.monitoring.outcome import decision_of, kept_result, witness_of
from labkit.run import gates_beside, open_run, tag_files
from labkit.run.evidence import RunJudge, gates_changed

Counted = Callable[[Sequence[Path], GateSet], Sequence[Counts]]
"""What counts tag files, each for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reanalysis:
    """What a run's segments say now.

    Attributes
    ----------
    evaluation : Evaluation
        Its verdict rests on the recounted blocks and on what the journal says of the others.
    remarks : tuple of str
        What could not be taken into account.
    """

    evaluation: Evaluation
    remarks: tuple[str, ...]


def count_here(tags: Sequence[Path], gates: GateSet) -> list[Counts]:
    """Count each tag file in this process."""
    return [count(path, gates) for path in tags]


def reanalyse(
    run: Path,
    gates: GateSet | None = None,
    *,
    counted: Counted = count_here,
    declared: Mapping[str, float] = MappingProxyType({}),
    fixed: bool = False,
    bound: float = 1.0,
) -> Reanalysis:
    """Count a run's good blocks of the main setting again and judge it with all its other blocks.

    Parameters
    ----------
    run : Path
        Run folder; nothing in it is changed.
    gates : GateSet, optional
        By default the run's own. With others no verdict is certified: they may be chosen by the
        data.
    counted : callable, optional
    declared : mapping of str to float
        Conditions that the user vouches for.
    fixed : bool
        Whether the user vouches for a number of trials fixed in advance.
    bound : float

    Raises
    ------
    ValueError
        If the folder is no run with a good block, or a segment is not what it was.
    """
    folder = open_run(run)
    own = GateSet.from_yaml(gates_beside(run))
    wanted = own if gates is None else gates
    main = folder.main_blocks()
    found = counted(tag_files(run), wanted)
    again = {
        block.number: replace(block, counts=counts, shifted=None)
        for block, counts in zip(main, found, strict=True)
    }
    blocks = [again.get(block.number, block) for block in folder.journal.read()]
    remarks = []
    try:
        goal = goal_of(folder.manifest(), str(folder.manifest_path))
    except ValueError as error:  # then nothing was fixed in advance, as far as is known
        remarks.append(f"the run's goal is not known: {error}")
        goal = None
    judge = RunJudge(
        folder.path, goal, declared=declared, fixed=fixed, bound=min(bound, 1.0),
        extra=gates_changed(own, wanted),
    )  # fmt: skip
    evaluation = judge.evaluate(blocks)
    if evaluation is None:
        message = f"{run}: the run has no good block to analyse"
        raise ValueError(message)
    return Reanalysis(evaluation=evaluation, remarks=tuple(remarks))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReanalysisRow:
    """One of many runs, in words; empty where there is nothing to say.

    Attributes
    ----------
    run : str
        Folder.
    trials : int
    witness, decision : str
        Now.
    witness_then, decision_then : str
        By the run's own result.
    problem : str
        Why it could not be analysed.
    plain : dict
        The evaluation as JSON has it.
    """

    run: str
    trials: int = 0
    witness: str = ""
    decision: str = ""
    witness_then: str = ""
    decision_then: str = ""
    problem: str = ""
    plain: dict[str, object] | None = None

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "run": self.run, "problem": self.problem or None, "evaluation": self.plain,
            "then": {"R_m": self.witness_then or None, "verdict": self.decision_then or None},
        }  # fmt: skip


def row_of(
    run: Path,
    *,
    gates: GateSet | None = None,
    declared: Mapping[str, float] = MappingProxyType({}),
    fixed: bool = False,
    bound: float = 1.0,
) -> ReanalysisRow:
    """Analyse one of many runs; one that cannot be read must not hide the others."""
    name = str(run)
    try:
        found = reanalyse(run, gates, declared=declared, fixed=fixed, bound=bound)
        then, damaged = kept_result(open_run(run))
    except (ValueError, KeyError, OSError) as error:
        return ReanalysisRow(run=name, problem=str(error).removeprefix(f"{name}: "))
    now = found.evaluation.to_dict(bound)
    return ReanalysisRow(
        run=name, trials=found.evaluation.counts.trials.number, plain=now,
        witness=witness_of(now), decision=decision_of(now),
        witness_then=witness_of(then), decision_then=decision_of(then),
        problem="; ".join([*found.remarks, *([damaged] if damaged else [])]),
    )  # fmt: skip
