"""Figures of seed 001 (Liu et al., Phys. Rev. A 109, 023519): where it has no steady state.

As printed, the model is unstable at every point of the paper's figures; the figures show the
growth rate instead, and the entanglement of the legal bidirectional (SLH) model, which is zero.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simulation.figures.data import Axis, Curves, FigureData, Line, Map, Style
from simulation.figures.grid import as_line, as_map, evaluate, on_grid, span

Real = NDArray[np.float64]

MODEL = "liu2024"
SHOWN = ("E_N", "growth_rate")
GROWTH = "growth rate max Re $\\lambda/\\omega_m$"
FINDING = "printed model: no steady state, a supermode grows (coloured)"
TEXT = "κ/2π = 45 MHz, γ_m/2π = 2.2 kHz, λ = 780 nm, l = 100 mm, m = 20 ng, η = 1, φ = 0.8π, 100 mK"
NOT_REPRODUCED = (
    "NOT REPRODUCED: the printed model has no steady state at any of these points. Shown instead: "
    "its growth rate, and the entanglement of the lossless two-way link (SLH), which is zero."
)
DIFFERS = (
    "as printed, one optical supermode of Eq. (8) grows at −κ(1 + 2√η cos φ) = +0.618 κ, so there "
    "is no steady state at the paper's parameters and E_N is undefined: none of its numbers (0.11, "
    "0.07, the factor 3, the window 0.18π to 0.25π) can be reproduced. The legal bidirectional "
    "(SLH) model is stable and has E_N = 0 (black)."
)
STYLES: tuple[Style, ...] = ("solid", "dashed", "dashdot")


def figure_2(points: int, changes: Mapping[str, float]) -> FigureData:
    """E_N against detuning, for three phase differences and for all."""
    delta = span(1.0, 1.8, points)
    phases = {f"Δθ = {p}π": {"dtheta": p * np.pi} for p in (0.18, 0.22, 0.25)}
    dtheta = span(0.18, 0.25, points)
    x = Axis(label="detuning $\\Delta/\\omega_m$", values=delta)
    return FigureData(
        name="liu2024-2",
        title="Liu et al. Fig. 2: entanglement under the phase difference of the drives",
        panels=(
            _curves("a", x, "delta", delta, phases, changes),
            _map("b", x, {"delta": delta}, Axis(label="phase difference Δθ (π)", values=dtheta),
                 {"dtheta": np.pi * dtheta}, changes),
        ),
        columns=2,
        finding=NOT_REPRODUCED,
        parameters=f"{TEXT}, ω_m/2π = 88.54 MHz, P = 15 mW.",
        reproduces="nothing of the entanglement.",
        differs=DIFFERS,
    )  # fmt: skip


def figure_3(points: int, changes: Mapping[str, float]) -> FigureData:
    """E_N against detuning, mechanical frequency and drive power."""
    delta, omega, power = span(1.0, 1.8, points), span(80e6, 110e6, points), span(1, 20, points)
    x = Axis(label="detuning $\\Delta/\\omega_m$", values=delta)
    frequency = Axis(label="frequency $\\omega_m/2\\pi$ (MHz)", values=1e-6 * omega)
    milliwatts = Axis(label="drive power P (mW)", values=power)
    at_phase, at_power = {"dtheta": 0.2 * np.pi}, {"omega_m_hz": 90e6, "dtheta": 0.25 * np.pi}
    frequencies = {f"$\\omega_m/2\\pi$ = {f} MHz": {"omega_m_hz": f * 1e6} for f in (90, 95, 100)}
    phases = {f"Δθ = {p}π": {"dtheta": p * np.pi} for p in (0.2, 0.22, 0.25)}
    powers = {f"P = {p} mW": {"power": p * 1e-3} for p in (5, 10, 15)}
    return FigureData(
        name="liu2024-3",
        title="Liu et al. Fig. 3: mechanical frequency and drive power",
        panels=(
            _curves("a", x, "delta", delta, frequencies, {**at_phase, **changes}),
            _map("b", frequency, {"omega_m_hz": omega}, x, {"delta": delta},
                 {**at_phase, **changes}),
            _curves("c", frequency, "omega_m_hz", omega, phases, changes),
            _curves("d", x, "delta", delta, powers, {**at_power, **changes}),
            _map("e", milliwatts, {"power": 1e-3 * power}, x, {"delta": delta},
                 {**at_power, **changes}),
            _curves("f", milliwatts, "power", 1e-3 * power, phases, {**at_power, **changes}),
        ),
        columns=3,
        finding=NOT_REPRODUCED,
        parameters=f"{TEXT}; (a–c) P = 15 mW, (a, b) Δθ = 0.2π; (d–f) ω_m/2π = 90 MHz, (d, e) Δθ = "
        "0.25π; (c, f) Δ = 1.4 ω_m.",
        reproduces="nothing of the entanglement.",
        differs=DIFFERS,
    )  # fmt: skip


def figure_4(points: int, changes: Mapping[str, float]) -> FigureData:
    """E_N against temperature, with the map over temperature and detuning (the inset)."""
    temperature, delta = span(0.0, 1.0, points), span(1.0, 1.8, points)
    kelvin = Axis(label="temperature T (K)", values=temperature)
    detuning = Axis(label="detuning $\\Delta/\\omega_m$", values=delta)
    phases = {f"Δθ = {p}": {"dtheta": v} for p, v in (("π/5", np.pi / 5), ("π/4", np.pi / 4))}
    return FigureData(
        name="liu2024-4",
        title="Liu et al. Fig. 4: thermal noise",
        panels=(
            _curves("", kelvin, "temperature", temperature, phases, changes),
            replace(
                _map("", kelvin, {"temperature": temperature}, detuning, {"delta": delta}, changes),
                panel="inset",
            ),
        ),
        columns=2,
        finding=NOT_REPRODUCED,
        parameters=f"{TEXT.removesuffix(', 100 mK')}, ω_m/2π = 88.54 MHz, P = 15 mW, Δ = 1.4 ω_m; "
        "inset Δθ = π/4.",
        reproduces="nothing of the entanglement.",
        differs=f"{DIFFERS} The growth rate does not depend on temperature.",
    )  # fmt: skip


def _curves(
    letter: str, x: Axis, name: str, values: Real, cases: Mapping[str, Mapping[str, float]],
    fixed: Mapping[str, float],
) -> Curves:  # fmt: skip
    lines: list[Line] = []
    growth: list[Line] = []
    nowhere = True
    for number, (label, case) in enumerate(cases.items()):
        swept = {**fixed, **case, name: values}
        printed = evaluate(MODEL, SHOWN, {**swept, "variant": "printed"})
        style = STYLES[number % len(STYLES)]
        rate = np.broadcast_to(np.asarray(printed["growth_rate"], np.float64), values.shape)
        growth.append(Line(label=label, values=rate, color=number, style=style))
        lines.append(as_line(printed, "E_N", label="", color=number, style=style))
        nowhere = nowhere and not np.any(printed["stable"])
        legal = evaluate(MODEL, ["E_N"], {**swept, "variant": "slh"})
        lines.append(as_line(legal, "E_N", label="SLH: $E_N$" if number == 0 else "", color=4))
    return Curves(
        panel=letter,
        x=x,
        label="negativity $E_N$",
        lines=lines,
        growth=growth,
        growth_label=GROWTH,
        limits=(-0.005, 0.12),
        note=FINDING if nowhere else "",
    )


def _map(
    letter: str, x: Axis, across: Mapping[str, Real], y: Axis, up: Mapping[str, Real],
    fixed: Mapping[str, float],
) -> Map:  # fmt: skip
    results = on_grid(MODEL, SHOWN, across, up, {**fixed, "variant": "printed"})
    panel = as_map(results, "E_N", panel=letter, x=x, y=y, label="negativity $E_N$")
    growth = np.broadcast_to(np.asarray(results["growth_rate"], np.float64), panel.values.shape)
    note = FINDING if panel.unstable.all() else ""
    return replace(panel, growth=growth, growth_label=GROWTH, note=note)
