"""``single_phonons``: heralded g²(0) of one device's read photons, from three-fold coincidences."""

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from analysis.correlation import G2
from analysis.counting.patterns import Cell, Patterns, count_patterns
from analysis.heralded import heralded_g2
from analysis.palette import COLORS, FAINT
from labkit.procedures import Result
from labkit.procedures.g2 import G2Options, blocks_of_device
from labkit.procedures.session import Session
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class SinglePhononsOptions(G2Options):
    """Which device, and how long; see `G2Options`."""

    trials: int = 5_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SinglePhononsResult(Result):
    """Heralded g²(0), both herald detectors together.

    Attributes
    ----------
    device : str
    g2 : G2
        N(p r₁ r₂) N(p)/(N(p r₁) N(p r₂)), with N summed over the herald detectors.
    triples, heralds : int
    """

    procedure: ClassVar[str] = "single_phonons"
    device: str
    g2: G2
    triples: int
    heralds: int

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        plain: dict[str, object] = {"device": self.device, "triples": self.triples}
        return {**plain, "heralds": self.heralds, "heralded_g2": self.g2.to_dict()}

    def __str__(self) -> str:
        low, high = (float(q) for q in self.g2.posterior.quantile([0.16, 0.84]))
        return (
            f"device {self.device}: heralded g²(0) = {self.g2.posterior.mode:.3f}  "
            f"[{low:.3f}, {high:.3f}]  from {self.triples} triples of {self.heralds:,} heralds; "
            "one phonon would show 0, thermal light 2"
        )

    def plot(self) -> "Figure":
        """Draw the density of g²(0)."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5, 3), layout="constrained")
        axes = figure.add_subplot()
        low, high = self.g2.posterior.quantile([0.0005, 0.9995])
        grid = np.linspace(max(low, 1e-6), high, 300)
        axes.plot(grid, self.g2.posterior.density(grid), color=COLORS[0])
        axes.axvline(1.0, color=FAINT, lw=1, ls="--")
        axes.set(xlabel="heralded $g^{(2)}(0)$", ylabel="probability density", ylim=(0, None))
        return figure


def single_phonons(
    session: Session, sequence: PulseSequence, options: SinglePhononsOptions
) -> SinglePhononsResult:
    """Measure heralded g²(0) of one device, the other arm blocked; no lock is needed.

    The combining coupler divides the read light between both detectors: it is the splitter of a
    Hanbury Brown–Twiss measurement.

    Raises
    ------
    RuntimeError
        If no block is good, or no read click was heralded: too few trials.
    """
    good = blocks_of_device(session, sequence, options, "single_phonons")
    patterns = [
        count_patterns(session.folder.path / block.segment, sequence.gates) for block in good
    ]
    found: Patterns = reduce(add, patterns)
    pump, read = sequence.gates.names[:2]
    detectors = list(sequence.gates.detectors)[:2]
    one, two = ((read, detector) for detector in detectors)
    heralds = [(pump, detector) for detector in detectors]

    def together(*cells: Cell) -> int:
        return sum(found.all_of(herald, *cells) for herald in heralds)

    triples, number = together(one, two), together()
    try:
        g2 = heralded_g2(triples, together(one), together(two), number)
    except ValueError as error:
        message = f"device {options.device}: {error}; take more trials"
        raise RuntimeError(message) from None
    return SinglePhononsResult(device=options.device, g2=g2, triples=triples, heralds=number)
