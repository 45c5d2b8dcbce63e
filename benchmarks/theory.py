"""Theory: maps of entanglement against scipy in a double loop; click probabilities by batches."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.linalg import solve_continuous_lyapunov

from benchmarks.timing import Row, Taken, labkit, measured
from simulation.theory.couplings import radiation_pressure, single_mode_squeezing
from simulation.theory.dlcz import click_probabilities, riedinger2018
from simulation.theory.models import get, point, yu2020
from simulation.theory.network import Link, Mode, Network
from simulation.theory.steady_state import steady_state

SIDE = 201


def textbook_log_negativity(v: np.ndarray) -> float:
    """E_N of the first two modes, by the symplectic spectrum of the partial transpose."""
    mirror = np.diag([1.0, -1.0, 1.0, 1.0])
    omega = np.kron(np.eye(2), np.array([[0.0, 1.0], [-1.0, 0.0]]))
    nu = np.min(np.abs(np.linalg.eigvals(1j * omega @ mirror @ v[:4, :4] @ mirror)))
    return max(0.0, -float(np.log(2 * nu)))


def double_loop(drift: np.ndarray, diffusion: np.ndarray) -> np.ndarray:
    """Do what people write: per point eigenvalues, scipy's solver, E_N; nan if unstable.

    The matrices are given, so that only the numerical work is compared.
    """
    found = np.full(len(drift), np.nan)
    for place, (a, d) in enumerate(zip(drift, diffusion, strict=True)):
        if np.max(np.linalg.eigvals(a).real) < 0:
            found[place] = textbook_log_negativity(solve_continuous_lyapunov(a, -d))
    return found


def run(scale: float = 1.0) -> list[Row]:
    """Measure; `scale` shrinks the side of the maps and the batch of clicks."""
    return [
        *_maps(max(20, round(SIDE * scale))),
        *_command_line(max(20, round(2000 * scale))),
        *_all_results(max(20, round(SIDE * scale))),
        *_own_model(),
        *_clicks(max(200, round(10_000 * scale))),
    ]


def _maps(side: int) -> list[Row]:
    model = get("yu2020")
    delta_1, delta_2 = np.linspace(0.4, 1.6, side)[:, None], np.linspace(-1.6, -0.4, side)
    ratio = np.linspace(0.1, 2, side)
    temperature = np.linspace(0, 0.3, side)[:, None]
    coupling = np.linspace(0.5e6, 5e6, side)
    sample = np.random.default_rng(1).integers(0, side, (2, min(400, side**2)))
    sampled = yu2020.linear(
        yu2020.Yu2020(delta_1=delta_1[sample[0], 0], delta_2=delta_2[sample[1]])
    )
    matrices = (sampled.drift, sampled.diffusion)
    wanted = ["E_N", "stable"]
    maps = {
        "detunings": {"delta_1": delta_1, "delta_2": delta_2},
        "rates": {"kappa_2_hz": 1e6 * ratio[:, None], "g_2_hz": 3.8e6 * ratio},
        "temperature": {"temperature": temperature, "G_hz": coupling},
    }
    times = measured(
        {"loop": lambda: double_loop(*matrices)}
        | {name: lambda m=m: model.evaluate(wanted, **m) for name, m in maps.items()}
    )
    _agree(
        model.evaluate(wanted, **maps["detunings"])["E_N"][tuple(sample)], double_loop(*matrices)
    )
    return [
        _per_point(
            f"{side}×{side} map over {name}: speed / scipy in a double loop",
            100 if name == "temperature" else 50,
            (times["loop"], sample.shape[1]), (times[name], side**2),
        )
        for name in maps
    ]  # fmt: skip


def _command_line(side: int) -> list[Row]:
    """Measure the whole command, start and file included, beside the loop over sampled points."""
    rng = np.random.default_rng(2)
    sampled = yu2020.linear(
        yu2020.Yu2020(delta_1=rng.uniform(0.4, 1.6, 400), delta_2=rng.uniform(-1.6, -0.4, 400))
    )
    matrices = (sampled.drift, sampled.diffusion)
    axes = ("--x", f"delta_1:0.4:1.6:{side}", "--y", f"delta_2:-1.6:-0.4:{side}")
    with TemporaryDirectory() as folder:
        target = Path(folder) / "map.nc"
        command = labkit("theory", "sweep", "yu2020", *axes, "--only", "E_N", "--overwrite",
                         "-o", target)  # fmt: skip
        times = measured({"loop": lambda: double_loop(*matrices), "labkit": command})
    return [
        _per_point(
            f"labkit theory sweep, {side}×{side}, E_N and stability / scipy in a double loop", 100,
            (times["loop"], 400), (times["labkit"], side**2),
        )
    ]  # fmt: skip


def _per_point(name: str, target: float, peer: tuple[Taken, int], ours: tuple[Taken, int]) -> Row:
    ratio, noise = peer[0].per(ours[0])
    each, other = (np.median(taken.processor) / points * 1e6 for taken, points in (ours, peer))
    return Row(name=name, ratio=ratio * ours[1] / peer[1], noise=noise, target=target,
               detail=f"{each:.2f} µs/point, peer {other:.0f} µs, processor time")  # fmt: skip


def _all_results(side: int) -> list[Row]:
    """Every result of a model on a map, and of one point, against the goals in microseconds."""
    detunings = {
        "delta_1": np.linspace(0.9, 1.0, side)[:, None], "delta_2": np.linspace(-1.0, -0.9, side)
    }  # fmt: skip
    phonons = {
        "n_0_A": np.linspace(0.03, 0.05, side)[:, None], "n_0_B": np.linspace(0.01, 0.02, side)
    }  # fmt: skip
    axes = {"yu2020": detunings, "tan2020": detunings, "riedinger2018": phonons}
    goals = {"yu2020": 3.5e-6, "tan2020": 15e-6, "riedinger2018": 8e-6}
    jobs = {name: lambda n=name: get(n).evaluate(None, **axes[n]) for name in axes}
    taken = measured(jobs)
    single = measured({name: lambda n=name: point(n) for name in axes})
    rows = []
    for name in axes:
        each = np.array(taken[name].processor) / side**2
        rows.append(
            _against(f"{goals[name] * 1e6:g} µs / {name}, all results per point", goals[name], each)
        )
        rows.append(_against(f"2 ms / {name}, one point", 2e-3, np.array(single[name].processor)))
    return rows


def _own_model() -> list[Row]:
    """Solve a squeezer that feeds an optomechanical cavity, beside QuTiP cut at four quanta a mode.

    The peer is written as people write it (cascaded master equation, direct steady state); both
    give the covariance matrix of cavity and mechanics, the peer within 1.1e-4.
    """
    import qutip

    modes = [Mode("s", damping=1.0), Mode("a", detuning=1.0, damping=0.5),
             Mode("b", detuning=1.0, damping=0.1)]  # fmt: skip
    couplings = [single_mode_squeezing("s", 0.05j), radiation_pressure("a", "b", 0.1)]
    links = [Link("s", "a", efficiency=0.9)]

    def ours() -> np.ndarray:
        network = Network(modes=modes, couplings=couplings, links=links)
        return steady_state(network.build()).of("a", "b")

    def peer() -> np.ndarray:
        one, low = qutip.qeye(4), qutip.destroy(4)
        s = qutip.tensor(low, one, one)
        a = qutip.tensor(one, low, one)
        b = qutip.tensor(one, one, low)
        sent, taken = np.sqrt(0.9) * s, np.sqrt(0.5) * a
        h = 0.025j * (s.dag() ** 2 - s**2) + a.dag() * a + b.dag() * b
        h += 0.1 * (a + a.dag()) * (b + b.dag())
        h += -0.5j * (taken.dag() * sent - sent.dag() * taken)
        rho = qutip.steadystate(h, [sent + taken, np.sqrt(0.1) * s, np.sqrt(0.1) * b])
        xi = [(o + o.dag()) / np.sqrt(2) for k in (a, b) for o in (k, -1j * k)]
        return np.array([[qutip.expect(u * v + v * u, rho) / 2 for v in xi] for u in xi])

    if not np.allclose(ours(), peer(), atol=2e-4):
        message = "the two sides of the benchmark disagree"
        raise ValueError(message)
    taken = measured({"ours": ours, "peer": peer})
    own, other = (float(np.median(taken[name].processor)) for name in ("ours", "peer"))
    ratio, noise = taken["peer"].per(taken["ours"])
    return [
        Row(name="own model, one point: speed / QuTiP cut at four quanta a mode", target=100,
            ratio=ratio, noise=noise,
            detail=f"{own * 1e3:.2f} ms, peer {other:.2f} s, processor time"),
    ]  # fmt: skip


def _against(name: str, goal: float, each: np.ndarray) -> Row:
    low, middle, high = np.quantile(each, [0.25, 0.5, 0.75])
    return Row(name=name, ratio=goal / middle, noise=(high - low) / (2 * middle), target=1,
               detail=f"{middle * 1e6:.2f} µs of processor time")  # fmt: skip


def _agree(found: np.ndarray, expected: np.ndarray) -> None:
    if not np.allclose(found, expected, rtol=1e-6, atol=1e-9, equal_nan=True):
        message = "the two sides of the benchmark disagree"
        raise ValueError(message)


def _clicks(batch: int) -> list[Row]:
    single = riedinger2018()
    many = replace(single, delta_phi=np.linspace(0, 2 * np.pi, batch))
    times = measured(
        {"one": lambda: click_probabilities(single), "many": lambda: click_probabilities(many)},
        rounds=9,
    )
    ratio, noise = times["one"].per(times["many"])
    at_once, spread = times["one"].of(1e-3)
    per_point = np.median(times["many"].processor) / batch
    return [
        Row(name="1 ms / click probabilities of one point", ratio=at_once, noise=spread, target=1,
            detail=str(times["one"])),
        Row(name=f"click probabilities: batch of {batch} / one by one",
            ratio=ratio * batch, noise=noise, target=20, detail=f"{per_point * 1e6:.1f} µs/point"),
    ]  # fmt: skip
