"""``g2``: cross-correlation of one device's read and pump photons, the other arm blocked."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from analysis.correlation import GammaPosterior, pooled_g2
from analysis.evaluation import evaluate
from analysis.palette import COLORS
from labkit.procedures import Result
from labkit.procedures.repair import tune_if_due
from labkit.procedures.session import Device, Session, check_options, only
from labkit.run import Block
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class G2Options:
    """Which device, and how long.

    Attributes
    ----------
    device : {"A", "B"}
    trials : int
    block : int
        Trials per block; between blocks the filters are tuned when it is time.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    device: Device = "A"
    trials: int = 600_000_000
    block: int = 40_000_000

    def __post_init__(self) -> None:
        check_options(self, at_least={"trials": 1, "block": 1})


@dataclass(frozen=True, slots=True, kw_only=True)
class G2Result(Result):
    """Cross-correlation of one device's read and pump photons, pooled over detectors.

    Attributes
    ----------
    device : str
    delay : float
        From pump to read, s.
    posterior : GammaPosterior
    """

    procedure: ClassVar[str] = "g2"
    device: str
    delay: float
    posterior: GammaPosterior

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        low, high = (float(q) for q in self.posterior.quantile([0.16, 0.84]))
        return {
            "device": self.device, "delay": self.delay, "g2": self.posterior.mode,
            "low": low, "high": high,
        }  # fmt: skip

    def __str__(self) -> str:
        low, high = self.posterior.quantile([0.16, 0.84])
        return (
            f"device {self.device}: g² = {self.posterior.mode:.2f}  [{low:.2f}, {high:.2f}]  "
            f"at τ = {1e9 * self.delay:.0f} ns"
        )

    def plot(self) -> "Figure":
        """Draw the density of g² and its 68 % interval."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5, 3), layout="constrained")
        axes = figure.add_subplot()
        low, high = self.posterior.quantile([0.0005, 0.9995])
        g = np.linspace(low, high, 300)
        density = self.posterior.density(g)
        axes.plot(g, density, color=COLORS[0])
        inside = (g >= self.posterior.quantile(0.16)) & (g <= self.posterior.quantile(0.84))
        axes.fill_between(g, density, where=inside, color=COLORS[0], alpha=0.2, lw=0)
        axes.set(xlabel="$g^{(2)}_{rp}$", ylabel="probability density", ylim=(0, None))
        axes.set_title(f"device {self.device}, 68 % shaded", fontsize=9)
        return figure


def g2_of_device(session: Session, sequence: PulseSequence, options: G2Options) -> G2Result:
    """Measure g²(r, p) of one device alone; no lock is needed.

    The other arm is blocked meanwhile and opened again.

    Raises
    ------
    RuntimeError
        If a pair of detectors has no accidentals to compare with: too few trials.
    """
    blocks = blocks_of_device(session, sequence, options, "g2")
    counts = sum((block.counts for block in blocks[1:]), blocks[0].counts)
    found = evaluate(counts)
    if len(found.g2) < 4:
        message = f"device {options.device}: {'; '.join(found.undefined.values())}"
        raise RuntimeError(message)
    return G2Result(
        device=options.device, delay=sequence.delay, posterior=pooled_g2(found.g2.values())
    )


def blocks_of_device(
    session: Session, sequence: PulseSequence, options: G2Options, procedure: str
) -> list[Block]:
    """Measure one device alone, the other arm blocked meanwhile; return the good blocks.

    Raises
    ------
    RuntimeError
        If none is good.
    """
    setting: dict[str, float | str] = {
        "procedure": procedure, "device": options.device, "delay": float(sequence.delay),
    }  # fmt: skip
    blocks: list[Block] = []
    with only(session, options.device):
        trials_of = _parts(options.trials, options.block)
        for trials in session.steps(f"{procedure} of device {options.device}: block", trials_of):
            block = session.earlier(sequence, trials, setting)
            if block is None:
                tune_if_due(session, sequence, trials)
                block = session.measure(sequence, trials, setting, locked=False)
            blocks.append(block)
    good = [block for block in blocks if block.good]
    if not good:
        message = f"device {options.device}: no block is good; the last one: {blocks[-1].reason}"
        raise RuntimeError(message)
    return good


def _parts(total: int, largest: int) -> list[int]:
    """Divide a number of trials into parts of `largest` and a rest."""
    whole, rest = divmod(total, largest)
    return [largest] * whole + ([rest] if rest else [])
