"""Figures of seed 000 (Fan & Cheng, March 2026): the cascade and the pulsed link."""

from collections.abc import Mapping

import numpy as np

from simulation.figures.data import Axis, Curves, FigureData, Line, Map, Style, Ticks
from simulation.figures.grid import Results, as_map, evaluate, on_grid, span
from simulation.theory.pulsed_link import fibre_reflectivity

MODEL = "fan2026_cascade"
TEXT = (
    "ω_b/2π = 10 MHz, ω_m/2π = 8.2 GHz, κ = 2 ω_b, γ_b = 1e-4 ω_b, γ_m = 0.5 ω_b, "
    "G_c/2π = G_2/2π = 3 MHz"
)
LABELS = {
    "E_cb": "negativity $E_{cb}$",
    "E_a1b": "negativity $E_{a_1b}$",
    "E_mb": "negativity $E_{mb}$",
    "n_b": "quanta $\\delta n_b$",
    "n_a1": "quanta $\\delta n_{a_1}$",
    "n_m": "quanta $\\delta n_m$",
}
KILOMETRES = (0, 5, 10, 20, 40, 80)
PULSES: tuple[tuple[float, float, Style], ...] = (
    (2.18, 0.95, "solid"),
    (1.44, 0.80, "dashed"),
    (0.95, 0.55, "dashdot"),
)
"""r, W and line of the curves of Fig. 6."""


def figure_2(points: int, changes: Mapping[str, float]) -> FigureData:
    """E_a1b and E_mb over both detunings, and over detuning and link efficiency."""
    delta_c, delta_1, eta = span(0.0, 2.0, points), span(-2.0, 0.0, points), span(0, 1, points)
    x = Axis(label="detuning $\\tilde\\Delta_c/\\omega_b$", values=delta_c)
    wanted = ("E_a1b", "E_mb")
    detunings = on_grid(MODEL, wanted, {"delta_c": delta_c}, {"delta_1": delta_1}, changes)
    links = on_grid(MODEL, wanted, {"delta_c": delta_c}, {"eta": eta}, changes)
    top, bottom = (
        Axis(label="detuning $\\Delta_1/\\omega_b$", values=delta_1),
        Axis(label="link efficiency $\\eta$", values=eta),
    )
    panels = [
        _map(results, name, letter, x, y)
        for letter, results, name, y in (
            ("a", detunings, "E_a1b", top),
            ("b", detunings, "E_mb", top),
            ("c", links, "E_a1b", bottom),
            ("d", links, "E_mb", bottom),
        )
    ]
    return FigureData(
        name="fan2026-2",
        title="Fan & Cheng Fig. 2: entanglement distributed through the cascade",
        panels=panels,
        columns=2,
        parameters=f"{TEXT}, 10 mK; (a, b) η = 1; (c, d) Δ1 = −ω_b. Blank: not entangled.",
        reproduces="both appear for a red-detuned pump near the down-conversion sideband "
        "Δ1 = −ω_b and grow with η; E_mb is largest (0.206) near (0.6, −1.03) ω_b, where E_a1b "
        "has a dip: complementary.",
        differs="equations (6) and (8) are used with their misprints corrected.",
    )


def figure_3(points: int, changes: Mapping[str, float]) -> FigureData:
    """Entanglement and quanta over the temperatures of both systems."""
    temperature_1, temperature_2 = span(0.0, 0.1, points), span(0.0, 0.5, points)
    x = Axis(label="temperature $T_1$ (mK)", values=1e3 * temperature_1)
    y = Axis(label="temperature $T_2$ (mK)", values=1e3 * temperature_2)
    fixed = {"eta": 0.9, "delta_c": 0.75, **changes}
    results = on_grid(
        MODEL,
        tuple(LABELS),
        {"temperature_1": temperature_1},
        {"temperature_2": temperature_2},
        fixed,
    )
    return FigureData(
        name="fan2026-3",
        title="Fan & Cheng Fig. 3: entanglement and quanta against both temperatures",
        panels=[_map(results, *named, x, y) for named in zip(LABELS, "abcdef", strict=True)],
        columns=3,
        parameters=f"{TEXT}; η = 0.9, detuning 0.75 ω_b of c, Δ1 = −ω_b. Blank: not entangled.",
        reproduces="E_cb does not know T_2; E_mb feels it more than T_1 and ends at 0.17 to "
        "0.20 K, when the gigahertz mode warms.",
    )


def figure_6(points: int, changes: Mapping[str, float]) -> FigureData:
    """E_12 of the pulsed scheme against the loss of the fibre."""
    loss = span(0.0, 1.0, points)
    lines = [
        Line(
            label=f"r = {r}, W = {w}",
            values=np.asarray(
                evaluate("fan2026_pulsed", ["E_12"], {"r": r, "W": w, **changes, "R": loss})[
                    "E_12"
                ],
                np.float64,
            ),
            style=style,
            color=color,
        )
        for color, (r, w, style) in enumerate(PULSES)
    ]
    panel = Curves(
        panel="",
        x=Axis(label="optical loss R", values=loss),
        label="negativity $E_{12}$",
        lines=lines,
        top=Ticks(
            label="length of fibre at 0.2 dB/km (km)",
            positions=fibre_reflectivity(KILOMETRES),
            texts=[f"{length:g}" for length in KILOMETRES],
        ),
    )
    return FigureData(
        name="fan2026-6",
        title="Fan & Cheng Fig. 6: pulsed scheme, entanglement against loss",
        panels=(panel,),
        columns=1,
        parameters="both mechanics first in their ground states; r and W as in the legend.",
        reproduces="the three curves from Eq. (22); it agrees with Eq. (21) once the exponent of W "
        "there is corrected.",
        differs="the text's pulses give r = 2.170 (from 0.4 µW) or 2.173 (from G/2π = 3.93 MHz) "
        "instead of 2.18, and W = 0.9498.",
    )


def _map(results: Results, name: str, letter: str, x: Axis, y: Axis) -> Map:
    return as_map(results, name, panel=letter, x=x, y=y, label=LABELS[name])
