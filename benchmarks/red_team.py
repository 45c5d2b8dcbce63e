"""Ways of being wrong about entanglement: counts whose state is separable, or data that lie.

Each attack makes the expected counts of a long run, so that only the fault decides, not chance:
`tests/physics/test_red_team.py` demands that no verdict on them says *entangled*. Here,
``python -m benchmarks red_team``, more strengths are tried, with drawn counts besides.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import labkit
from analysis.counts_file import WitnessCounts
from analysis.evidence import BlockCounts, Evidence
from analysis.witness import judge, largest_separable
from analysis.witness.conditions import Condition, null_shuffled
from analysis.witness.verdict import CONDITIONS_NOT_MET, ENTANGLED, NOT_SHOWN, Verdict

Array = NDArray[np.float64]
PUMP, READ = np.array([1.0e-4, 1.65e-4]), np.array([0.97e-4, 1.5e-4])
LEVEL = np.full(2, READ.mean())
EVEN = float(READ.mean())
"""False clicks per pump click that add as many coincidences as there are accidentals."""
TRIALS = 10**11
DECLARED = {
    "splitting": 0.503, "splitting_error": 0.003, "pump_balance": 0.02, "read_balance": 0.1,
    "device_ratio": 1.5, "fringe_period_pi": 1.95, "fringe_period_error_pi": 0.1,
    "null_blindness_upper": 0.0, "null_crosstalk_upper": 0.0, "background": 0.3,
}  # fmt: skip
"""What somebody declares who knows nothing of the fault."""


BRIGHT, BRIGHT_TRIALS = 1000.0, 2_000_000
"""Pump gate and trials of a laser-only run with a bright read gate."""


def light(same: float, crossed: float) -> Array:
    """Return g² of a fringe's maximum, element [read, pump]."""
    return np.array([[same, crossed], [crossed, same]])


def boundary(same: float) -> Array:
    """Return g² of the separable state with the largest contrast."""
    return light(same, float(largest_separable(same)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lab:
    """A laboratory as counts see it: light, detectors, and what is wrong with them.

    Attributes
    ----------
    theta, pi : ndarray, shape (2, 2)
        g² at θ and at θ + π, element [read detector, pump detector].
    pump, read : ndarray, shape (2,)
        Clicks per trial.
    blind, afterpulse : float
        Part of read clicks that the same detector misses after its pump click; false read clicks
        of the same detector per pump click.
    cross_blind, crosstalk : float
        The same of the other detector.
    swing : float
        Pump and read rates of the halves of every block are 1 ± swing of their means.
    jitter : bool
        Whether the rates swing from trial to trial instead, so that a laser-only run shows it, and
        shifted trials do not.
    trials : int
        Of each turn.
    laser_only : float
        Brightness of the pump gate of a laser-only run with as many trials; 0 for none, and then
        somebody declares that there are no faults.
    bright_read : float
        Brightness of the read gate of another laser-only run; 0 for none.
    """

    theta: Array
    pi: Array
    pump: Array = field(default_factory=lambda: PUMP)
    read: Array = field(default_factory=lambda: READ)
    blind: float = 0.0
    afterpulse: float = 0.0
    cross_blind: float = 0.0
    crosstalk: float = 0.0
    swing: float = 0.0
    jitter: bool = False
    trials: int = TRIALS
    laser_only: float = 0.0
    bright_read: float = 0.0

    def counts(
        self,
        g2: Array,
        trials: int,
        *,
        brighter: float = 1.0,
        brighter_read: float = 1.0,
        rng: np.random.Generator | None = None,
    ) -> WitnessCounts:
        """Return expected counts at a g², or drawn ones."""
        pump, photons = self.pump * brighter, self.read * brighter_read
        expected = np.outer(photons, pump) * g2 * (1.0 + self.swing**2)
        expected = expected * np.where(np.eye(2) > 0, 1.0 - self.blind, 1.0 - self.cross_blind)
        false = np.where(np.eye(2) > 0, self.afterpulse, self.crosstalk) * pump[np.newaxis, :]
        read = photons + false.sum(axis=1)
        found = trials * (expected + false)
        whole = np.rint(found) if rng is None else rng.poisson(found)
        singles = [np.maximum(np.rint(trials * rate), 1).astype(int) for rate in (pump, read)]
        return WitnessCounts(
            trials=trials, pump=(int(singles[0][0]), int(singles[0][1])),
            read=(int(singles[1][0]), int(singles[1][1])),
            coincidences={f"r{i + 1}p{j + 1}": int(whole[i, j]) for i in (0, 1) for j in (0, 1)},
        )  # fmt: skip

    def evidence(
        self, *, turn: bool, blocks: int = 1, rng: np.random.Generator | None = None
    ) -> Evidence:
        """Return the evidence of a run at θ, or at θ and θ + π in turn, by blocks."""
        part = self.trials // blocks
        found = [
            BlockCounts(
                theta=self.counts(self.theta, part, rng=rng),
                pi=self.counts(self.pi, part, rng=rng) if turn else None,
            )
            for _ in range(blocks)
        ]
        if not self.laser_only:
            return Evidence(blocks=tuple(found), declared=DECLARED)
        still, flat = self if self.jitter else replace(self, swing=0.0), np.ones((2, 2))
        dim = still.counts(flat, self.trials, brighter=self.laser_only, rng=rng)
        bright = None
        if self.bright_read:
            bright = still.counts(
                flat, BRIGHT_TRIALS, brighter=BRIGHT, brighter_read=self.bright_read, rng=rng
            )
        return Evidence(
            blocks=tuple(found), laser_only=dim, laser_only_bright=bright,
            declared={name: value for name, value in DECLARED.items() if "null" not in name},
        )  # fmt: skip

    def shuffled(self) -> Condition:
        """Return what shifted trials show of a swing of the rates."""
        expected = 100.0 * self.trials * np.outer(self.read, self.pump)
        cells = (float(np.trace(expected)), float(expected[0, 1] + expected[1, 0]))
        return null_shuffled((round(cell * (1.0 + self.swing**2)), cell) for cell in cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One way of being wrong.

    Attributes
    ----------
    name : str
    strengths : tuple of float
    make : callable
        Returns the laboratory at a strength.
    turns : tuple of bool
        Whether it is tried at θ alone (False), and at θ and θ + π (True).
    timed : bool
        Whether shifted trials are measured.
    """

    name: str
    strengths: tuple[float, ...]
    make: Callable[[float], Lab]
    turns: tuple[bool, ...] = (False, True)
    timed: bool = False

    def verdicts(self, rng: np.random.Generator | None = None) -> Iterator[tuple[str, Verdict]]:
        """Yield (what, verdict) at every strength."""
        for strength in self.strengths:
            lab = self.make(strength)
            for turn in self.turns:
                measured = [lab.shuffled()] if self.timed else []
                found = judge(lab.evidence(turn=turn, rng=rng), measured=measured)
                yield f"{self.name} {strength:g} {'θ, θ + π' if turn else 'θ'}", found


def interfering(x: float, split_pump: float, split_read: float) -> Array:
    """Return g² without interference: two equal devices of g² - 1 = x behind a coupler T."""
    pump = np.array([[split_pump, 1 - split_pump], [1 - split_pump, split_pump]])
    read = np.array([[split_read, 1 - split_read], [1 - split_read, split_read]])
    return np.asarray(1.0 + x * read.T @ pump)


def same(g2: Array, **faults: object) -> Lab:
    """Return a laboratory whose phase does nothing."""
    return Lab(theta=g2, pi=g2, **faults)  # type: ignore[arg-type]


def turning(g2: Array, **faults: object) -> Lab:
    """Return one with a fringe: at θ + π the read detectors change their roles."""
    return Lab(theta=g2, pi=g2[::-1], **faults)  # type: ignore[arg-type]


def _mixed(low: float) -> Array:
    """Return one blind herald and one noisy one, each at its own separable boundary."""
    first, second = low, 2.0 + 2.0 * (1.0 - low)
    crossed = [float(largest_separable(s)) for s in (first, second)]
    return np.array([[first, crossed[1]], [crossed[0], second]])


ATTACKS = (
    Attack(
        name="mirror instead of a coupler", strengths=(0.6, 0.9, 0.99),
        make=lambda t: same(interfering(6.9, t, t)),
    ),
    Attack(
        name="coupler that swaps, no interference", strengths=(0.01, 0.1),
        make=lambda t: same(interfering(6.9, t, 1 - t)), turns=(True,),
    ),
    Attack(
        name="blind detectors, coherent light", strengths=(0.5, 0.83, 0.86, 0.99),
        make=lambda b: same(np.ones((2, 2)), blind=b),
    ),
    Attack(
        name="blind detectors, separable light", strengths=(0.05, 0.3, 0.8),
        make=lambda b: turning(boundary(1.0), blind=b),
    ),
    Attack(
        name="blind detectors, noisy separable light, laser-only run", strengths=(0.05, 0.3, 0.8),
        make=lambda b: turning(boundary(1.2), blind=b, laser_only=100.0),
    ),
    Attack(
        name="noise at one phase only, blind detectors", strengths=(0.16, 0.3, 0.6),
        make=lambda b: Lab(theta=boundary(8.0), pi=boundary(1.0)[::-1], blind=b, laser_only=1.0),
    ),
    Attack(
        name="laser power that jitters from trial to trial", strengths=(0.05, 0.1, 0.2, 0.4, 0.6),
        make=lambda d: turning(boundary(1.0), swing=d, jitter=True, laser_only=1.0),
    ),
    Attack(
        name="jitter, bright laser-only run", strengths=(0.02, 0.05, 0.1, 0.2, 0.4),
        make=lambda d: turning(
            boundary(1.0), swing=d, jitter=True, laser_only=1.0, bright_read=1000.0
        ),
    ),
    Attack(
        name="blind to the other detector, crosstalk in its place", strengths=(0.1, 0.5, 0.9),
        make=lambda b: turning(boundary(1.2), cross_blind=b, crosstalk=b * EVEN, read=LEVEL),
    ),
    Attack(
        name="blind to the other, crosstalk, noise at one phase", strengths=(0.05, 0.2, 0.5, 0.9),
        make=lambda b: Lab(
            theta=boundary(1.0), pi=boundary(8.0)[::-1], cross_blind=b, crosstalk=b * EVEN,
            read=LEVEL, laser_only=1.0,
        ),
    ),
    Attack(
        name="blind to the other, crosstalk, noise, bright laser-only run",
        strengths=(0.005, 0.02, 0.05, 0.2, 0.9),
        make=lambda b: Lab(
            theta=boundary(1.0), pi=boundary(8.0)[::-1], cross_blind=b, crosstalk=b * EVEN,
            read=LEVEL, laser_only=1.0, bright_read=1000.0,
        ),
    ),
    Attack(
        name="blind, afterpulses in their place", strengths=(0.05, 0.2, 0.5, 0.9),
        make=lambda b: turning(
            boundary(2.0), blind=b, afterpulse=b * EVEN, read=LEVEL, laser_only=1.0
        ),
    ),
    Attack(
        name="blind, afterpulses, noise at one phase, bright laser-only run",
        strengths=(0.005, 0.02, 0.05, 0.2, 0.9),
        make=lambda b: Lab(
            theta=boundary(8.0), pi=boundary(1.0)[::-1], blind=b, afterpulse=b * EVEN, read=LEVEL,
            laser_only=1.0, bright_read=1000.0,
        ),
    ),
    Attack(
        name="noisy light, detectors dead after a click", strengths=(2.0, 3.0, 8.0),
        make=lambda s: turning(boundary(s), blind=1.0),
    ),
    Attack(
        name="gain of crossed coincidences, bright laser-only run", strengths=(0.01, 0.04, 0.2),
        make=lambda g: turning(
            boundary(1.0), cross_blind=-g, crosstalk=0.0, laser_only=1.0, bright_read=1000.0
        ),
    ),
    Attack(
        name="afterpulses, coherent light", strengths=(6e-4, 3e-3, 1e-2),
        make=lambda a: same(np.ones((2, 2)), afterpulse=a),
    ),
    Attack(
        name="afterpulses, separable light", strengths=(1e-4, 1e-3, 1e-2),
        make=lambda a: turning(boundary(1.2), afterpulse=a),
    ),
    Attack(
        name="crosstalk, coherent light", strengths=(7.3e-4, 9.6e-4, 3e-3),
        make=lambda x: same(np.ones((2, 2)), crosstalk=x, laser_only=1.0),
    ),
    Attack(
        name="crosstalk, separable light", strengths=(3e-5, 1e-4, 1e-3),
        make=lambda x: turning(boundary(1.05), crosstalk=x, laser_only=100.0),
    ),
    Attack(
        name="crosstalk, separable light, nothing measured", strengths=(3e-5, 1e-4, 1e-3),
        make=lambda x: turning(boundary(1.05), crosstalk=x), turns=(True,),
    ),
    Attack(
        name="rates that drift together", strengths=(0.25, 0.4, 0.6),
        make=lambda d: turning(boundary(1.0), swing=d), timed=True,
    ),
    Attack(
        name="bunched light", strengths=(1.5, 2.0, 10.0, 100.0),
        make=lambda g: same(np.full((2, 2), g)),
    ),
    Attack(
        name="phase not locked", strengths=(1.5, 4.0, 8.0),
        make=lambda g: same(np.full((2, 2), g)),
    ),
    Attack(
        name="modulator dead: θ + π is θ", strengths=(1.0, 1.2, 2.0),
        make=lambda s: same(boundary(s)), turns=(True,),
    ),
    Attack(
        name="separable light", strengths=(1.0, 1.2, 2.0, 4.0),
        make=lambda s: turning(boundary(s)),
    ),
    Attack(
        name="one herald blind, the other noisy", strengths=(0.3, 0.6, 0.9),
        make=lambda s: turning(_mixed(s)),
    ),
    Attack(
        name="one herald alone", strengths=(4.0, 8.0, 30.0),
        make=lambda c: turning(np.array([[1.0, 1.0], [c, 1.0]])),
    ),
    Attack(
        name="one herald alone at θ + π", strengths=(8.0, 30.0), turns=(True,),
        make=lambda c: Lab(theta=boundary(1.0), pi=np.array([[c, 1.0], [1.0, 1.0]])),
    ),
    Attack(
        name="fringe of the wrong sign", strengths=(6.0, 8.0, 12.0),
        make=lambda c: turning(light(1.1, c)[::-1]),
    ),
)  # fmt: skip


SEED = 20261128
PAGE = Path(__file__).parents[1] / "docs" / "red_team.md"


def run(scale: float = 1.0) -> Iterator[str]:
    """Try every attack at drawn counts, `scale` · 50 times, say what came out, write the page."""
    rng, rounds = np.random.default_rng(SEED), max(1, round(50 * scale))
    rows: list[str] = []
    for attack in ATTACKS:
        found: dict[bool, dict[str, int]] = {}
        for _ in range(rounds):
            for what, verdict in attack.verdicts(rng):
                decisions = found.setdefault("θ + π" in what.removeprefix(attack.name), {})
                decisions[verdict.decision] = decisions.get(verdict.decision, 0) + 1
        for turn, decisions in found.items():
            strengths = ", ".join(f"{strength:g}" for strength in attack.strengths)
            numbers = [decisions.get(word, 0) for word in WORDS]
            row = (attack.name, strengths, "θ, θ + π" if turn else "θ", *map(str, numbers))
            rows.append("| " + " | ".join(row) + " |")
            yield f"red team: {attack.name}, {row[2]}: entangled {numbers[0]} of {sum(numbers)}"
    PAGE.write_text(page(rows, rounds), encoding="utf-8")
    yield f"red team: {PAGE.name} written"


WORDS = (ENTANGLED, NOT_SHOWN, CONDITIONS_NOT_MET)


def page(rows: list[str], rounds: int) -> str:
    """Return the page about these decisions."""
    names = ("attack", "strengths", "phases", *WORDS)
    head = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    return HEAD.format(seed=SEED, version=labkit.__version__, rounds=rounds) + "\n".join(
        [*head, *rows, ""]
    )


HEAD = """# The red team

Ways of being wrong about entanglement, tried on the verdict. Made by
`python -m benchmarks red_team` (seed {seed}, labkit {version}): counts of 10¹¹ trials of each phase
are drawn {rounds} times at every strength, and everything is declared that somebody would declare
who knows nothing of the fault. *Separable light* is the state of R = 1 with the largest contrast at
its noise. The number of trials is not fixed in advance: 5 % of false claims are allowed at 95 %.

Attacks on tag files, procedures and the virtual lab are in `tests/physics/test_red_team.py`, in
`tests/labkit/test_drifting_tags.py` and `tests/physics/test_negative_controls.py`.

"""
