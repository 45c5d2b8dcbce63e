"""Calibration of `simulation.inference` on campaigns that its own model makes, and wrong models.

``python -m benchmarks inference`` (hours; ``--scale 0.1`` a tenth of the runs) writes
``benchmarks/inference.json``, from which ``docs/inference.md`` has its tables.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.cluster import Mapped
from benchmarks.inference_tables import keep
from simulation.inference.checks import check_fit, prior_conflicts
from simulation.inference.data import Campaign, Record
from simulation.inference.likelihood import DRIFT, Data, aside_covariance, drift_covariance
from simulation.inference.model import probabilities
from simulation.inference.prior import MEMORY, Prior, make_prior
from simulation.inference.sampling import find_maximum, sample
from simulation.inference.setting import Setting
from simulation.inference.wrong import wrong_models
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


WINDOWS = (123e-9, 500e-9, 1e-6, 2e-6, 3e-6)
"""Delays at which `delay_sweep` looks for the mechanical fringe by default, s."""


LASER = {"dim": (0.15, 3e-4), "bright": (0.15, 0.15)}
"""Clicks per trial and detector of laser light in the pump and in the read gate (`null_test`)."""


def plan(
    scale: float = 1.0,
    delays: int = 6,
    windows: tuple[float, ...] = (0.5e-6, 1.5e-6),
    *,
    laser: bool = False,
) -> list[Planned]:
    """Return a campaign: data set, setting, trials, gates or light of the laser."""
    found: list[Planned] = []

    def add(name: str, setting: Setting, trials: float, gates: str = "pr") -> None:
        found.append((name, setting, trials * scale, gates))

    def turned(angle: float) -> Setting:
        return replace(REFERENCE, delta_phi=REFERENCE.delta_phi + angle)

    for angle in (0.0, np.pi):
        add("witness", turned(angle), 5e8)
    for k in range(6):
        add("phase_sweep", turned(2 * np.pi * k / 6), 1.5e8)
    for late in windows:
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
    if laser:
        add("null_test", replace(REFERENCE, on_line=False), 2e7, "dim")
        add("null_test", replace(REFERENCE, on_line=False), 2e6, "bright")
    return found


def simulated(
    values: Values, planned: Sequence[Planned], rng: np.random.Generator, drift: float = 0.0
) -> Campaign:
    """Return a campaign that the model makes, with slow drifts as the likelihood assumes them."""
    values = values | {DRIFT: drift}
    arrays = {name: np.array([value]) for name, value in values.items()}
    expected = [probabilities(arrays, s, reference_delay=REFERENCE.delay) for _, s, _, _ in planned]
    clock: dict[str, float] = {}
    records = []
    for (name, setting, trials, gates), clicks in zip(planned, expected, strict=True):
        number = round(trials)
        begin = clock.get(name, 0.0)
        clock[name] = begin + number * PERIOD
        light = gates not in LASER
        singles = np.rint(number * (clicks.singles[0] if light else _laser_clicks(gates, values)))
        if light:
            singles[:2] = singles[:2] if "p" in gates else np.nan
            singles[2:] = singles[2:] if "r" in gates else np.nan
        records.append(
            Record(
                data_set=name, run=name, setting=setting, kind="light" if light else "laser",
                trials=number, singles=singles,
                coincidences=np.rint(number * clicks.coincidences[0])
                * (np.nan if gates in ("p", "r") else float(light)),
                before=_before(values, number, rng), before_seconds=BEFORE,
                spans=((begin, clock[name]),),
            )
        )  # fmt: skip
    campaign = Campaign(records=tuple(records), reference=REFERENCE, read_over_pump=RATIO)
    return _drawn(campaign, arrays, rng)


def _laser_clicks(light: str, values: Values) -> Real:
    """Return clicks per trial of the laser, with what the detectors remember of the pump gate."""
    pump, read = LASER[light]
    false = pump * (values["afterpulse"] + values["crosstalk"]) if light == "dim" else 0.0
    return np.array([pump, pump, read + false, read + false])


def _before(values: Values, trials: int, rng: np.random.Generator) -> Real:
    rates = np.array([values["dark_rate_1"], values["dark_rate_2"]])
    return rng.poisson(rates * BEFORE * trials).astype(np.float64)


def _drawn(campaign: Campaign, values: dict[str, Real], rng: np.random.Generator) -> Campaign:
    """Replace expected singles by drawn ones, and draw the coincidences given these."""
    data = Data.of(campaign)
    singles, g2, _ = data.expected(values)
    factor, heated = np.ones(data.singles.shape), np.ones(data.pairs.shape)
    covariance = aside_covariance(data) + values[DRIFT] ** 2 * drift_covariance(data, values)
    if len(covariance):
        root = np.linalg.cholesky(covariance + 1e-12 * np.eye(len(covariance)))
        off, normal = np.exp(root @ rng.standard_normal(len(root))), int(data.normal.sum())
        factor[data.normal], heated[data.many] = off[:normal], off[normal:]
    found = rng.poisson(singles[0] * factor).astype(np.float64)
    found[np.isnan(data.singles)] = np.nan
    laser = [record.kind == "laser" for record in campaign.records]
    found[laser] = data.singles[laser]
    records = []
    for at, record in enumerate(campaign.records):
        exposure = np.nan_to_num(found[at][2:, None] * found[at][None, :2]) / record.trials
        pairs = rng.poisson(g2[0][at] * heated[at] * exposure).astype(np.float64)
        pairs[np.isnan(record.coincidences)] = np.nan
        records.append(replace(record, singles=found[at], coincidences=pairs))
    return replace(campaign, records=tuple(records))


def narrow_prior(campaign: Campaign) -> Prior:
    """Return the prior of the calibration: everything known to 30 %, contrast about 0.8."""
    preset = riedinger2018()
    usual = make_prior(campaign, preset)
    middle = usual.values(usual.mean[None])
    apart = ("contrast", "phi", "delta_omega_hz", "splitting", "leak_share", "p_read_A",
             "p_read_B", DRIFT, *MEMORY)  # fmt: skip
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


def calibrate_ten(seed: int) -> Ranked:
    """Rank ten truths; a piece of the calibration with a seed of its own."""
    return calibrate(10, seed=seed)


def calibrate(runs: int, *, seed: int = SEED, draws: int = 6000, scale: float = 0.1) -> Ranked:
    """Draw parameters from the prior, data from the model, and rank the truth in the posterior.

    Source: Talts et al., arXiv:1804.06788 (simulation-based calibration).
    """
    rng = np.random.default_rng(seed)
    planned = plan(scale, delays=5, laser=True)
    outline = simulated(_centre(), planned, rng)
    prior = narrow_prior(outline)
    ranks: dict[str, list[float]] = {name: [] for name in prior.free}
    fallbacks, begin = 0, perf_counter()
    for _ in range(runs):
        z = prior.draw(rng, 1)
        values = {name: float(value[0]) for name, value in prior.values(z).items()}
        campaign = simulated(values, planned, rng, values[DRIFT])
        maximum = find_maximum(Data.of(campaign), prior)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A wrong model to be found.

    Attributes
    ----------
    word : str
        By which a remark names it; empty where nothing is wrong.
    truth : callable
        Gives what the parameters really are.
    played : callable
        Gives what was really played; the analysis believes `plan`.
    seen : callable
        Gives what became of the counts.
    drift : float
        In truth.
    allowed : float, optional
        In the model; by default it is inferred.
    """

    word: str
    truth: Callable[[Values, np.random.Generator], Values] = lambda values, _: values
    played: Callable[[list[Planned], np.random.Generator], list[Planned]] = lambda plan, _: plan
    seen: Callable[[Campaign, np.random.Generator], Campaign] = lambda campaign, _: campaign
    drift: float = 0.03
    allowed: float | None = None


def _changed(name: str, low: float, high: float, *, about: float | None = None) -> Any:
    """Draw a value evenly in its logarithm; `about` a number, on either side of it."""

    def truth(values: Values, rng: np.random.Generator) -> Values:
        size = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        value = size if about is None else about + float(rng.choice([-1, 1])) * size
        return values | {name: value}

    return truth


def _opened(planned: list[Planned], rng: np.random.Generator) -> list[Planned]:
    """Leave the other arm open in one data set that needs it closed."""
    chosen = str(rng.choice([n for n in dict.fromkeys(n for n, *_ in planned) if n[-1] in "AB"]))

    def both(s: Setting) -> Setting:
        pump, read = max(s.e_pump), max(s.e_read)
        return replace(s, e_pump=(pump, pump), e_read=(read, read))

    return [(n, both(s) if n == chosen else s, t, g) for n, s, t, g in planned]


def _cut(campaign: Campaign, rng: np.random.Generator) -> Campaign:
    """Let one gate of one data set hold 40 to 80 % of its pulse."""
    chosen = str(rng.choice(["witness", "phase_sweep", "delay_sweep", "g2 A", "g2 B"]))
    cells, part = (slice(0, 2), slice(2, 4))[rng.integers(2)], rng.uniform(0.4, 0.8)

    def cut(record: Record) -> Record:
        if record.data_set != chosen:
            return record
        singles = record.singles.copy()
        singles[cells] = rng.binomial(singles[cells].astype(np.int64), part)
        pairs = rng.binomial(record.coincidences.astype(np.int64), part).astype(np.float64)
        return replace(record, singles=singles, coincidences=pairs)

    return replace(campaign, records=tuple(cut(record) for record in campaign.records))


WRONG: dict[str, Mistake] = {
    "nothing": Mistake(word=""),
    "mirror": Mistake(word="mirror", truth=_changed("splitting", 0.08, 0.35, about=0.5)),
    "afterpulsing": Mistake(word="afterpulses", truth=_changed("afterpulse", 1e-3, 5e-3)),
    "wrong ΔΩ": Mistake(word="ΔΩ", truth=_changed("delta_omega_hz", 10e6, 60e6, about=45e6)),
    "arm left open": Mistake(word="other arm was open", played=_opened),
    "shifted gate": Mistake(word="gate", seen=_cut),
    "fixed efficiencies": Mistake(word="drift", drift=0.05, allowed=0.0),
}


def wrong_case(name: str, seed: int) -> tuple[str, ...]:
    """Return what is remarked of a campaign with a mistake of this kind, of drawn size."""
    mistake, rng = WRONG[name], np.random.default_rng([seed, list(WRONG).index(name)])
    truth = mistake.truth(_varied(_centre(), rng), rng)
    planned = plan(windows=WINDOWS)
    campaign = simulated(truth, mistake.played(planned, rng), rng, mistake.drift)
    records = tuple(
        replace(record, setting=setting)
        for record, (_, setting, _, _) in zip(campaign.records, planned, strict=True)
    )
    believed = mistake.seen(replace(campaign, records=records), rng)
    return verdict_of(believed, mistake.allowed, rng)


def verdict_of(
    campaign: Campaign, drift: float | None, rng: np.random.Generator
) -> tuple[str, ...]:
    """Return what `infer` would remark of a campaign at `ALPHA`; nothing if it fits."""
    fixed = {} if drift is None else {DRIFT: drift}
    maximum = find_maximum(Data.of(campaign), make_prior(campaign, riedinger2018(), fixed=fixed))
    fit = check_fit(maximum, rng)
    wrong = tuple(str(one) for one in wrong_models(campaign, maximum))
    poor = ("does not fit",) if fit.poor else ()
    return (*wrong, *prior_conflicts(maximum), *poor)


def _varied(values: Values, rng: np.random.Generator) -> Values:
    names = ("n_0_A", "n_0_B", "p_pump_A", "p_pump_B", "n_read_A", "n_read_B", "eta_A", "eta_B")
    return values | {n: values[n] * float(np.exp(0.2 * rng.standard_normal())) for n in names}


def run(scale: float = 1.0, mapped: Mapped[int, Any] = map) -> Iterator[str]:
    """Calibrate (300 runs), try wrong models (9 of each, 50 of none), `scale` times as many."""
    total: dict[str, Any] = {"ranks": {}, "fallbacks": 0}
    seeds = range(SEED, SEED + max(1, round(30 * scale)))
    for part, ranked in enumerate(mapped(calibrate_ten, seeds)):
        total["fallbacks"] += ranked.fallbacks
        for name, ranks in ranked.ranks.items():
            total["ranks"].setdefault(name, []).extend(ranks)
        keep("calibration", total)
        yield f"inference: {10 * (part + 1)} runs, {ranked.seconds:.1f} s each"
    wrong = {}
    for name, mistake in WRONG.items():
        cases = max(1, round((9 if mistake.word else 50) * scale))
        said = list(mapped(partial(wrong_case, name), range(cases)))
        found = sum(bool(one) for one in said)
        named = sum(bool(one and mistake.word and mistake.word in one[0]) for one in said)
        wrong[name] = (cases, found, named)
        keep("wrong", wrong)
        yield f"inference: {name}: {found} of {cases} found, {named} named"
