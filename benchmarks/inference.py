"""Calibration of `simulation.inference` on campaigns that its own model makes, and wrong models.

``python -m benchmarks inference`` (hours; ``--scale 0.1`` a tenth of the runs) writes
``benchmarks/inference.json``, from which ``docs/inference.md`` has its tables.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.inference_tables import keep
from simulation.inference.checks import ALPHA, check_fit, prior_conflicts, wrong_models
from simulation.inference.data import Campaign, Record
from simulation.inference.likelihood import Data, drift_covariance
from simulation.inference.model import probabilities
from simulation.inference.prior import Prior, make_prior
from simulation.inference.sampling import find_maximum, sample
from simulation.inference.setting import Setting
from simulation.theory.dlcz import riedinger2018

Real = NDArray[np.float64]
Planned = tuple[str, Setting, float, str]
Values = dict[str, float]

REFERENCE = Setting(delay=123e-9, delta_phi=0.2 * np.pi)
RATIO, PERIOD, BEFORE = 7.4, 50e-6, 0.495e-6
"""Read over pump energy; s; s before the first pulse of a trial."""

SEED = 20261128

NARROW = 0.3
"""Standard deviation of ln of the parameters in the prior they are drawn from."""


def plan(scale: float = 1.0, delays: int = 6) -> list[Planned]:
    """Return a campaign: data set, setting, trials, gates."""
    found: list[Planned] = []

    def add(name: str, setting: Setting, trials: float, gates: str = "pr") -> None:
        found.append((name, setting, trials * scale, gates))

    def turned(angle: float) -> Setting:
        return replace(REFERENCE, delta_phi=REFERENCE.delta_phi + angle)

    for angle in (0.0, np.pi):
        add("witness", turned(angle), 5e8)
    for k in range(6):
        add("phase_sweep", turned(2 * np.pi * k / 6), 1.5e8)
    for late in (0.5e-6, 1.5e-6):
        for k in range(6):
            add("delay_sweep", replace(REFERENCE, delay=late + k / (6 * 45e6)), 1e8)
    add("stray_light", replace(REFERENCE, on_line=False), 1e8)
    add("stray_light", replace(REFERENCE, e_pump=(0.0, 0.0), e_read=(0.0, 0.0)), 1e8)
    for device, arms in (("A", (1.0, 0.0)), ("B", (0.0, 1.0))):
        none = (0.0, 0.0)
        strong, bright, faint = (
            (part * arms[0], part * arms[1]) for part in (5.0, RATIO, 1 / RATIO)
        )
        add(f"g2 {device}", replace(REFERENCE, e_pump=arms, e_read=arms), 6e8)
        add(f"thermometry {device}", replace(REFERENCE, e_pump=arms, e_read=none), 4e8, "p")
        red = replace(REFERENCE, e_pump=none, e_read=faint)
        add(f"thermometry {device}", red, 4e8, "r")
        add(f"thermometry {device}", replace(red, on_line=False), 4e8, "r")
        for late in np.geomspace(0.1e-6, 7.3e-6, delays):
            setting = replace(REFERENCE, delay=float(late), e_pump=strong, e_read=arms)
            add(f"pump_probe {device}", setting, 1.3e8)
        add(f"pump_probe {device}", replace(REFERENCE, e_pump=none, e_read=arms), 1e8, "r")
        add(f"pump_probe {device}", replace(REFERENCE, e_pump=bright, e_read=none), 1e8, "p")
    return found


def simulated(
    values: Values, planned: Sequence[Planned], rng: np.random.Generator, drift: float = 0.0
) -> Campaign:
    """Return a campaign that the model makes, with slow drifts as the likelihood assumes them."""
    arrays = {name: np.array([value]) for name, value in values.items()}
    expected = [probabilities(arrays, s, reference_delay=REFERENCE.delay) for _, s, _, _ in planned]
    clock: dict[str, float] = {}
    records = []
    for (name, setting, trials, gates), clicks in zip(planned, expected, strict=True):
        number = round(trials)
        begin = clock.get(name, 0.0)
        clock[name] = begin + number * PERIOD
        singles = np.rint(number * clicks.singles[0])
        singles[:2] = singles[:2] if "p" in gates else np.nan
        singles[2:] = singles[2:] if "r" in gates else np.nan
        records.append(
            Record(
                data_set=name, run=name, setting=setting, trials=number, singles=singles,
                coincidences=np.full((2, 2), 0.0 if gates == "pr" else np.nan),
                before=_before(values, number, rng), before_seconds=BEFORE,
                spans=((begin, clock[name]),),
            )
        )  # fmt: skip
    campaign = Campaign(records=tuple(records), reference=REFERENCE, read_over_pump=RATIO)
    return _drawn(campaign, arrays, rng, drift)


def _before(values: Values, trials: int, rng: np.random.Generator) -> Real:
    rates = np.array([values["dark_rate_1"], values["dark_rate_2"]])
    return rng.poisson(rates * BEFORE * trials).astype(np.float64)


def _drawn(
    campaign: Campaign, values: dict[str, Real], rng: np.random.Generator, drift: float
) -> Campaign:
    """Replace expected singles by drawn ones, and draw the coincidences given these."""
    data = Data.of(campaign)
    singles, g2, _ = data.expected(values)
    factor = np.ones(data.singles.shape)
    covariance = drift_covariance(data, values, drift)
    if len(covariance):
        root = np.linalg.cholesky(covariance + 1e-12 * np.eye(len(covariance)))
        factor[data.normal] = np.exp(root @ rng.standard_normal(len(root)))
    found = rng.poisson(singles[0] * factor).astype(np.float64)
    found[np.isnan(data.singles)] = np.nan
    records = []
    for at, record in enumerate(campaign.records):
        exposure = np.nan_to_num(found[at][2:, None] * found[at][None, :2]) / record.trials
        pairs = rng.poisson(g2[0][at] * exposure).astype(np.float64)
        pairs[np.isnan(record.coincidences)] = np.nan
        records.append(replace(record, singles=found[at], coincidences=pairs))
    return replace(campaign, records=tuple(records))


def narrow_prior(campaign: Campaign) -> Prior:
    """Return the prior of the calibration: everything known to 30 %, contrast about 0.8."""
    preset = riedinger2018()
    usual = make_prior(campaign, preset)
    middle = usual.values(usual.mean[None])
    apart = ("contrast", "phi", "delta_omega_hz", "splitting", "leak_share", "p_read_A", "p_read_B")
    changes = {n: (float(middle[n][0]), NARROW) for n in usual.free if n not in apart}
    changes |= {
        "contrast": (0.8, 0.6), "phi": (0.0, 0.17), "delta_omega_hz": (45e6, 0.05),
        "leak_share": (0.5, 0.3),
    }  # fmt: skip
    return make_prior(campaign, preset, changes=changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """What simulation-based calibration found.

    Attributes
    ----------
    ranks : dict of str to list of float
        By parameter, share of draws below the truth, one per run.
    fallbacks : int
        Runs in which the ensemble was needed.
    seconds : float
        Mean time of a run.
    """

    ranks: dict[str, list[float]]
    fallbacks: int
    seconds: float

    def coverage(self, level: float) -> tuple[int, int]:
        """Return how many central intervals of a level hold the truth, and of how many."""
        inside = [abs(r - 0.5) <= level / 2 for ranks in self.ranks.values() for r in ranks]
        return sum(inside), len(inside)

    def smallest_p(self) -> tuple[str, float]:
        """Return the parameter whose ranks look least uniform, and its Kolmogorov p-value."""
        found = {n: float(stats.kstest(r, "uniform").pvalue) for n, r in self.ranks.items()}
        name = min(found, key=lambda one: found[one])
        return name, found[name]


def calibrate(
    runs: int, *, seed: int = SEED, draws: int = 6000, drift: float = 0.03, scale: float = 0.1
) -> Ranked:
    """Draw parameters from the prior, data from the model, and rank the truth in the posterior.

    Source: Talts et al., arXiv:1804.06788 (simulation-based calibration).
    """
    rng = np.random.default_rng(seed)
    planned = plan(scale, delays=5)
    outline = simulated(_centre(), planned, rng)
    prior = narrow_prior(outline)
    ranks: dict[str, list[float]] = {name: [] for name in prior.free}
    fallbacks, begin = 0, perf_counter()
    for _ in range(runs):
        z = prior.draw(rng, 1)
        values = {name: float(value[0]) for name, value in prior.values(z).items()}
        campaign = simulated(values, planned, rng, drift)
        maximum = find_maximum(Data.of(campaign), prior, drift)
        found = sample(maximum, draws, rng)
        fallbacks += found.fallback
        for at, name in enumerate(prior.free):
            ranks[name].append(float(np.mean(found.z[:, at] < z[0, at])))
    return Ranked(ranks=ranks, fallbacks=fallbacks, seconds=(perf_counter() - begin) / max(runs, 1))


def _centre() -> Values:
    """Return the preset as inferred parameters, a little less contrast."""
    campaign = Campaign(records=(), reference=REFERENCE, read_over_pump=RATIO)
    prior = make_prior(campaign, riedinger2018())
    values = {name: float(value[0]) for name, value in prior.values(prior.mean[None]).items()}
    return values | {"contrast": 0.95, "phi": -0.1 * np.pi}


Spoil = Callable[[Values, list[Planned]], tuple[Values, list[Planned]]]


def _opened(values: Values, planned: list[Planned]) -> tuple[Values, list[Planned]]:
    def both(s: Setting) -> Setting:
        return replace(s, e_pump=(1.0, 1.0), e_read=(1.0, 1.0))

    return values, [(n, both(s) if n == "g2 A" else s, t, g) for n, s, t, g in planned]


WRONG: dict[str, tuple[Spoil, str, float, float]] = {
    "mirror": (lambda v, p: (v | {"splitting": 0.7}, p), "mirror", 0.03, 0.03),
    "afterpulsing": (lambda v, p: (v | {"afterpulse": 1.5e-3}, p), "afterpulses", 0.03, 0.03),
    "wrong ΔΩ": (lambda v, p: (v | {"delta_omega_hz": 25e6}, p), "ΔΩ", 0.03, 0.03),
    "arm left open": (_opened, "other arm was open", 0.03, 0.03),
    "shifted gate": (lambda v, p: (v, p), "gate", 0.03, 0.03),
    "fixed efficiencies": (lambda v, p: (v, p), "drift", 0.05, 0.0),
}
"""What is wrong: how the truth differs, the word that names it, drift in truth and in the model."""


def wrong_cases(number: int, *, seed: int = 5) -> dict[str, tuple[int, int, int]]:
    """Return, by wrong model, (cases, found at `ALPHA`, named first)."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, (spoil, word, drift, allowed) in WRONG.items():
        hits = named = 0
        for _ in range(number):
            truth, planned = spoil(_varied(_centre(), rng), plan())
            campaign = simulated(truth, planned, rng, drift)
            right = [(n, s) for n, s, _, _ in plan()]
            records = tuple(
                replace(record, setting=setting)
                for record, (_, setting) in zip(campaign.records, right, strict=True)
            )
            if name == "shifted gate":
                records = tuple(_cut(record, rng) for record in records)
            said = verdict_of(replace(campaign, records=records), allowed, rng)
            hits += bool(said)
            named += bool(said and word in said[0])
        found[name] = (number, hits, named)
    return found


def verdict_of(campaign: Campaign, drift: float, rng: np.random.Generator) -> tuple[str, ...]:
    """Return what `infer` would remark if a campaign does not fit at `ALPHA`; nothing if it does.

    One data set of several counts as one of so many looks.
    """
    preset = riedinger2018()
    maximum = find_maximum(Data.of(campaign), make_prior(campaign, preset), drift)
    fit = check_fit(maximum, rng)
    conflicts = prior_conflicts(maximum)
    smallest = min(check.p_value for check in fit.checks) * len(fit.checks)
    if min(fit.p_value, smallest) >= ALPHA:
        return conflicts
    return (*wrong_models(campaign, maximum, preset, drift), *conflicts, "does not fit")


def _varied(values: Values, rng: np.random.Generator) -> Values:
    names = ("n_0_A", "n_0_B", "p_pump_A", "p_pump_B", "n_read_A", "n_read_B", "eta_A", "eta_B")
    return values | {n: values[n] * float(np.exp(0.2 * rng.standard_normal())) for n in names}


def _cut(record: Record, rng: np.random.Generator) -> Record:
    """Let the read gate of the witness hold 60 % of its pulse."""
    if record.data_set != "witness":
        return record
    singles, pairs = record.singles.copy(), record.coincidences.copy()
    singles[2:] = rng.binomial(singles[2:].astype(np.int64), 0.6)
    return replace(
        record,
        singles=singles,
        coincidences=rng.binomial(pairs.astype(np.int64), 0.6).astype(float),
    )


def run(scale: float = 1.0) -> Iterator[str]:
    """Calibrate (300 runs), try wrong models (9 of each), `scale` times as many; keep results."""
    total: dict[str, Any] = {"ranks": {}, "fallbacks": 0}
    for part in range(max(1, round(30 * scale))):
        ranked = calibrate(10, seed=SEED + part)
        total["fallbacks"] += ranked.fallbacks
        for name, ranks in ranked.ranks.items():
            total["ranks"].setdefault(name, []).extend(ranks)
        keep("calibration", total)
        yield f"inference: {10 * (part + 1)} runs, {ranked.seconds:.1f} s each"
    wrong = wrong_cases(max(1, round(9 * scale)))
    keep("wrong", wrong)
    yield from (f"inference: {n}: {hit} of {all_} found, {name} named" for n, (all_, hit, name)
                in wrong.items())  # fmt: skip
