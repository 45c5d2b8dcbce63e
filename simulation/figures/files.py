"""Figures as small PNG files or as vectors, and a page that shows them with their captions."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

from simulation.figures.data import FigureData, Map
from simulation.figures.draw import draw

FORMATS: Final = ("png", "pdf", "svg")
DPI = 100
"""Of PNG files, and of the maps inside vector files twice as much."""
COLORS = 128
"""Palette of PNG files: enough for one colour scale and smooth text."""


def save_figure(data: FigureData, folder: Path, kind: str = "png") -> Path:
    """Draw a figure and write it as <name>.<kind>; axes and text of pdf and svg are vectors.

    Parameters
    ----------
    data : FigureData
        Title and caption go into the file's metadata.
    folder : Path
        Made if it does not exist.
    kind : str
        One of `FORMATS`; a PNG has a palette, some 20 to 60 kB.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If there is no such format.
    """
    if kind not in FORMATS:
        message = f"a figure must be one of {', '.join(FORMATS)}, but is {kind!r}"
        raise ValueError(message)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{data.name}.{kind}"
    if kind == "png":
        _save_png(data, path)
        return path
    said = "Subject" if kind == "pdf" else "Description"
    about = {"Title": data.title, said: data.caption}
    draw(data).savefig(path, format=kind, dpi=2 * DPI, metadata=about)
    return path


def _save_png(data: FigureData, path: Path) -> None:
    from PIL import Image, PngImagePlugin

    about = PngImagePlugin.PngInfo()
    about.add_itxt("Title", data.title)
    about.add_itxt("Description", data.caption)
    drawn = BytesIO()
    draw(data).savefig(drawn, format="png", dpi=DPI)
    with Image.open(drawn) as image:
        rare_too = Image.Quantize.MAXCOVERAGE  # of lines, beside the many of maps
        small = image.convert("RGB").quantize(COLORS, rare_too, dither=Image.Dither.NONE)
        small.save(path, optimize=True, pnginfo=about)


def gallery(figures: Sequence[FigureData], folder: str) -> str:
    """Return a Markdown page that shows the figures in `folder` with their captions."""
    parts = ["# Figures of the five papers, recomputed\n", GALLERY_INTRODUCTION]
    for data in figures:
        parts += [f"\n## {data.name}: {data.title}\n"]
        parts += [f"![{_described(data)}]({folder}/{data.name}.png)\n"]
        parts += [f"**{data.finding}**\n"] * bool(data.finding)
        parts += [f"- **{heading}:** {text}" for heading, text in data.remarks]
    return "\n".join(parts) + "\n"


def _described(data: FigureData) -> str:
    """Return in words what a picture shows."""
    shown = []
    for panel in data.panels:
        axes = [panel.x.label, panel.y.label] if isinstance(panel, Map) else [panel.x.label]
        over = " and ".join(dict.fromkeys(_plain(label) for label in axes))
        shown.append(f"{_plain(panel.label)} over {over}")
    return f"{data.title}. Shown: {'; '.join(dict.fromkeys(shown))}."


def _plain(label: str) -> str:
    """Return a label without its formulas, which are read out sign by sign."""
    return " ".join(" ".join(label.split("$")[::2]).split())


GALLERY_INTRODUCTION = """\
Every data figure of the seed papers, made by `labkit theory figure --all --out docs/figures`. The
papers are Fan & Cheng (2026), Liu et al. (2024), Tan & Li (2021, `tan2020`), Riedinger et al.
(2018) and Yu, Shen & Li (2020); the numbers 000 to 004 in this order are their older names. White
in a map: no entanglement; grey: no steady state. Axis ranges that a paper's text does not state are
ours. Under other parameters, and as vectors for a talk:
`labkit theory figure yu2020-2a --set temperature=0.1 --out elsewhere --format pdf`.\
"""
