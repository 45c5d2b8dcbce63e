"""Figures of seed 002 (Tan & Li, Phys. Rev. Res. 3, 013192)."""

from collections.abc import Mapping, Sequence

from simulation.figures.data import Axis, FigureData, Map
from simulation.figures.grid import Results, as_map, on_grid, span

MODEL = "tan2020"
LABELS = {
    "E_bm": "EPR product $E_{bm}$",
    "S_m_b": "Reid product $S_{m|b}$",
    "S_b_m": "Reid product $S_{b|m}$",
}
STRONG = ("E_bm", "S_m_b")
TEXT = "ω_b/2π = 10 MHz, ω_m/2π = 10 GHz, γ_b/2π = 100 Hz, γ_m/2π = 1.5 MHz, 30 mK, η = 1"
BLANK = "Blank: no entanglement or steering (values above 1); grey: no steady state."


def figure_2(points: int, changes: Mapping[str, float]) -> FigureData:
    """E_bm and S_m|b over (κ, Δ_m) and over both cavity detunings."""
    kappa, delta_m = span(0.25, 20.0, points), span(-2.5, 0.5, points)
    left = on_grid(
        MODEL, STRONG, {"kappa_1": kappa, "kappa_2": kappa}, {"delta_m": delta_m}, changes
    )
    x_left, y_left = (
        Axis(label="decay rate $\\kappa/\\omega_b$", values=kappa),
        Axis(label="detuning $\\Delta_m/\\omega_b$", values=delta_m),
    )
    delta_1, delta_2 = span(-1.0, 6.0, points), span(-6.0, 6.0, points)
    right = on_grid(MODEL, STRONG, {"delta_1": delta_1}, {"delta_2": delta_2}, changes)
    x_right, y_right = (
        Axis(label="detuning $\\Delta_1/\\omega_b$", values=delta_1),
        Axis(label="detuning $\\Delta_2/\\omega_b$", values=delta_2),
    )
    panels: list[Map] = []
    for name, letters in zip(STRONG, ("ab", "cd"), strict=True):
        panels += _row(left, (name,), letters[0], x_left, y_left)
        panels += _row(right, (name,), letters[1], x_right, y_right)
    return FigureData(
        name="tan2020-2",
        title="Tan & Li Fig. 2: phonon-magnon EPR entanglement and steering",
        panels=panels,
        columns=2,
        parameters=f"{TEXT}; g_ab = 0.5 ω_b, g_am = ω_b; (a, c) Δ1 = −Δ2 = ω_b; (b, d) κ = 10 ω_b, "
        f"Δ_m = −ω_b. {BLANK}",
        reproduces="best at Δ_m = −ω_b in the bad-cavity regime; wide ranges of Δ1 and Δ2, "
        "strongest at the threshold Δ1 → 0; S_b|m absent.",
    )


def figure_3(points: int, changes: Mapping[str, float]) -> FigureData:
    """E_bm, S_m|b and S_b|m over both decay rates and over both couplings."""
    kappa = span(0.5, 30.0, points)
    names = tuple(LABELS)
    couplings = {"g_ab": 1.0, "g_am": 2.0}
    top = on_grid(MODEL, names, {"kappa_1": kappa}, {"kappa_2": kappa}, {**couplings, **changes})
    g_am, g_ab = span(0.02, 3.0, points), span(0.02, 2.0, points)
    bottom = on_grid(MODEL, names, {"g_am": g_am}, {"g_ab": g_ab}, changes)
    rates = (
        Axis(label="decay rate $\\kappa_1/\\omega_b$", values=kappa),
        Axis(label="decay rate $\\kappa_2/\\omega_b$", values=kappa),
    )
    coupled = (
        Axis(label="coupling $g_{am}/\\omega_b$", values=g_am),
        Axis(label="coupling $g_{ab}/\\omega_b$", values=g_ab),
    )
    return FigureData(
        name="tan2020-3",
        title="Tan & Li Fig. 3: decay rates and couplings",
        panels=[*_row(top, names, "abc", *rates), *_row(bottom, names, "def", *coupled)],
        columns=3,
        parameters=f"{TEXT}; Δ1 = −Δ2 = −Δ_m = ω_b; (a–c) g_ab = ω_b, g_am = 2 ω_b (the printed "
        f"ω_m must be ω_b); (d–f) κ1 = κ2 = 10 ω_b. {BLANK}",
        reproduces="S_b|m mainly for unbalanced decay rates (κ2 > κ1) and for larger couplings; "
        "in (e) S_m|b is best at the cooperativity C_b = 6e3.",
        differs="there C_m is 1.6 (about 1 in the text), and S_m|b is not always the stronger "
        "steering where both exist.",
    )


def figure_4(points: int, changes: Mapping[str, float]) -> FigureData:
    """E_bm and S_m|b over temperature and link efficiency."""
    temperature, eta = span(0.0, 0.3, points), span(0.0, 1.0, points)
    results = on_grid(MODEL, STRONG, {"temperature": temperature}, {"eta": eta}, changes)
    x, y = (
        Axis(label="temperature T (mK)", values=1e3 * temperature),
        Axis(label="link efficiency $\\eta$", values=eta),
    )
    return FigureData(
        name="tan2020-4",
        title="Tan & Li Fig. 4: temperature and coupling efficiency",
        panels=_row(results, STRONG, "ab", x, y),
        columns=2,
        parameters=f"{TEXT.removesuffix(', 30 mK, η = 1')}; κ1 = κ2 = 10 ω_b, Δ1 = −Δ2 = −Δ_m = "
        f"ω_b, g_ab = 0.5 ω_b, g_am = ω_b. {BLANK}",
        reproduces="both survive 100 mK at η = 0.5 (E_bm 0.478, S_m|b 0.762); entanglement is the "
        "more robust.",
    )


def _row(results: Results, names: Sequence[str], letters: str, x: Axis, y: Axis) -> list[Map]:
    return [
        as_map(results, name, panel=letter, x=x, y=y, label=LABELS[name], below=1.0)
        for name, letter in zip(names, letters, strict=True)
    ]
