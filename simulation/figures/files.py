"""Figures as small PNG files, and a page that shows them with their captions."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from simulation.figures.data import FigureData
from simulation.figures.draw import draw

DPI = 100
COLORS = 160
"""Palette of the files: enough for one colour scale and smooth text."""


def save_png(data: FigureData, folder: Path) -> Path:
    """Draw a figure and write it as <name>.png with a palette, some 20 to 60 kB.

    Parameters
    ----------
    data : FigureData
    folder : Path
        Made if it does not exist.

    Returns
    -------
    Path
        The file.
    """
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    drawn = BytesIO()
    draw(data).savefig(drawn, format="png", dpi=DPI)
    path = folder / f"{data.name}.png"
    with Image.open(drawn) as image:
        image.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)
    return path


def gallery(figures: Sequence[FigureData], folder: str) -> str:
    """Return a Markdown page that shows the figures in `folder` with their captions."""
    parts = ["# Figures of the five papers, recomputed\n", GALLERY_INTRODUCTION]
    for data in figures:
        parts += [f"\n## {data.name}: {data.title}\n"]
        parts += [f"![{data.title}]({folder}/{data.name}.png)\n"]
        parts += [f"- **{heading}:** {text}" for heading, text in data.remarks]
    return "\n".join(parts) + "\n"


GALLERY_INTRODUCTION = """\
Every data figure of the seed papers, made by `labkit theory figure --all -o docs/figures`. The
numbers 000 to 004 are the papers: 000 Fan & Cheng (2026), 001 Liu et al. (2024), 002 Tan & Li
(2021), 003 Riedinger et al. (2018), 004 Yu, Shen & Li (2020). White in a map: no entanglement;
grey: no steady state. Axis ranges that a paper's text does not state are ours. Under other
parameters: `labkit theory figure 004-2a --set temperature=0.1 -o elsewhere`.\
"""
