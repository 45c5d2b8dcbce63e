"""What was left out of a result, and what it would have done to it: post-selection to be seen."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from re import sub
from typing import TYPE_CHECKING

from analysis.witness import witness
from labkit.run.journal import Block, folded_sum, main_setting, purpose_of

if TYPE_CHECKING:
    from labkit.report.tables import ResultTable


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutBlocks:
    """The blocks of a run's main setting that do not count.

    Attributes
    ----------
    blocks, trials : int
        Left out.
    counted : int
        Blocks that count.
    reasons : dict of str to int
        How many for which reason; numbers in the reasons are left away.
    without, including : tuple of float or None
        Symmetrised R_m (mode, 16 %, 84 %) of the blocks that count, and of all together; None if
        it is not defined, or nothing was left out.
    elsewhere : int
        Blocks of other settings that were left out.
    """

    blocks: int
    trials: int
    counted: int
    reasons: dict[str, int]
    without: tuple[float, float, float] | None
    including: tuple[float, float, float] | None
    elsewhere: int

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "blocks": self.blocks, "trials": self.trials, "counted": self.counted,
            "reasons": self.reasons, "elsewhere": self.elsewhere,
            "R_m_without_them": self.without, "R_m_with_them": self.including,
        }  # fmt: skip

    def sentence(self) -> str:
        """Return R_m without and with them in words; empty if none was left out."""
        if not self.blocks:
            return ""
        return f"R_m without them {_said(self.without)}, with them {_said(self.including)}"

    def table(self) -> "ResultTable":
        """Return a table for a report."""
        from labkit.report.tables import ResultTable

        rows = [(reason, str(number)) for reason, number in self.reasons.items()]
        if self.blocks:
            rows.append(("R_m without them", _said(self.without)))
            rows.append(("R_m with them", _said(self.including)))
        else:
            rows.append(("none", "0"))
        note = f"{self.counted} blocks count, {self.blocks} ({self.trials:,} trials) do not"
        return ResultTable(
            title="blocks left out", head=("reason", "blocks"), rows=tuple(rows), note=note
        )

    def __str__(self) -> str:
        lines = [
            f"blocks     {self.counted} count, {self.blocks} left out ({self.trials:,} trials)"
        ]
        lines += [f"  {number} × {reason}" for reason, number in self.reasons.items()]
        if self.blocks:
            lines.append(f"  {self.sentence()}")
        if self.elsewhere:
            lines.append(f"  {self.elsewhere} left out at other settings")
        return "\n".join(lines)


def left_out_of(blocks: Sequence[Block]) -> LeftOutBlocks:
    """Return what was left out of a run's main setting, and R_m with and without it."""
    setting = main_setting(blocks)
    mine = [block for block in blocks if purpose_of(block.setting) == setting]
    good = [block for block in mine if block.good]
    bad = [block for block in mine if not block.good]
    without = _witness(good) if bad else None
    return LeftOutBlocks(
        blocks=len(bad), trials=sum(block.trials for block in bad), counted=len(good),
        reasons=dict(Counter(_kind(block.reason) for block in bad).most_common()),
        without=without, including=_witness(mine) if bad else None,
        elsewhere=sum(not block.good for block in blocks) - len(bad),
    )  # fmt: skip


def _kind(reason: str) -> str:
    """Return a reason without its numbers: ``changed by +3 %`` and ``… +4 %`` are the same."""
    return sub(r"[+-]?\d+(?:[.,]\d+)*(?:e[+-]?\d+)?(?= (?:%|GHz|rad|s\b))", "…", reason)


def _witness(blocks: Iterable[Block]) -> tuple[float, float, float] | None:
    try:
        counts = folded_sum(list(blocks))
        found = None if counts is None else witness(counts)
    except ValueError:
        return None  # different gates, or none of a witness, or too few clicks
    return None if found is None else (found.sym.mode, found.sym.low, found.sym.high)


def _said(witness: tuple[float, float, float] | None) -> str:
    if witness is None:
        return "not defined"
    mode, low, high = witness
    return f"{mode:.3f} [{low:.3f}, {high:.3f}]"
