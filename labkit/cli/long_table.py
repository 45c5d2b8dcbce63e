"""Tables of many rows, drawn as rich draws them and twenty times as fast."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from textwrap import wrap

from rich.box import HEAVY_HEAD, Box
from rich.cells import cell_len
from rich.console import Console

NARROWEST = 8
"""Cells to which a column is narrowed at most where a table is too wide."""


def print_table(
    console: Console, heads: Sequence[str], rows: Sequence[Sequence[str]], whole: int = 1
) -> None:
    """Print rows of plain text; what is too long for the console is broken into lines.

    Parameters
    ----------
    console : Console
    heads : sequence of str
    rows : sequence of sequence of str
    whole : int
        So many first columns, which may be copied, are broken at no width.
    """
    box = HEAVY_HEAD.substitute(console.options)
    widths = _widths([heads, *rows], console.width, whole)
    head, *body = _lines(box, heads, rows, widths)
    for style, lines in (("bold", head), ("", [line for row in body for line in row])):
        console.print(
            "\n".join(lines), style=style or None, markup=False, highlight=False, soft_wrap=True
        )


def _widths(rows: Sequence[Sequence[str]], width: int, whole: int) -> list[int]:
    """Return the width of each column's text: the longest one's, unless the table is too wide."""
    widths = [max(map(_length, column)) for column in zip(*rows, strict=True)]
    excess = sum(widths) + 3 * len(widths) + 1 - width
    while excess > 0:
        widest = max(range(whole, len(widths)), key=widths.__getitem__, default=0)
        if widest < whole or widths[widest] <= NARROWEST:
            break
        second = max((w for w in widths[whole:] if w < widths[widest]), default=NARROWEST)
        less = max(1, min(excess, widths[widest] - max(second, NARROWEST)))
        widths[widest] -= less
        excess -= less
    return widths


def _lines(
    box: Box, heads: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]
) -> Iterator[list[str]]:
    """Yield the lines of the head, of each row, and of the end."""
    padded = [width + 2 for width in widths]
    yield [
        box.get_top(padded),
        *_row(heads, widths, (box.head_left, box.head_vertical, box.head_right)),
        box.get_row(padded, "head"),
    ]
    for row in rows:
        yield _row(row, widths, (box.mid_left, box.mid_vertical, box.mid_right))
    yield [box.get_bottom(padded)]


def _row(cells: Sequence[str], widths: Sequence[int], bars: tuple[str, str, str]) -> list[str]:
    left, between, right = bars
    broken = [
        [cell] if _length(cell) <= width else wrap(cell, width)
        for cell, width in zip(cells, widths, strict=True)
    ]
    return [
        left + between.join(f" {_filled(part, w)} " for part, w in zip(line, widths, strict=True))
        + right
        for line in zip_longest(*broken, fillvalue="")
    ]  # fmt: skip


def _length(text: str) -> int:
    return len(text) if text.isascii() else cell_len(text)


def _filled(text: str, width: int) -> str:
    return text + " " * (width - _length(text))
