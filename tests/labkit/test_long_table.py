"""Tables of many rows look as rich's, and break what is too wide without losing a letter."""

from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from labkit.cli.long_table import print_table

HEADS = ("run", "status", "verdict")
ROWS = [
    ("20261101_120000_witness", "done", ""),
    ("20261102_120000_autopilot", "died", "R ≥ 0.95: not shown, not enough trials yet"),
]


def drawn(width, **options):
    console = Console(file=StringIO(), width=width, **options)
    print_table(console, HEADS, ROWS)
    return console.file.getvalue()


def test_a_table_that_fits_is_as_rich_draws_it():
    console = Console(file=StringIO(), width=110)
    table = Table()
    for head in HEADS:
        table.add_column(head)
    for row in ROWS:
        table.add_row(*row)
    console.print(table)
    assert drawn(110) == console.file.getvalue()


@pytest.mark.parametrize("width", [45, 60, 70])
def test_what_is_too_wide_is_broken_and_the_name_is_not(width):
    lines = drawn(width).splitlines()
    assert max(map(len, lines)) <= max(width, 58)
    assert any("20261102_120000_autopilot" in line for line in lines)
    last_column = [line.split("│")[3].strip() for line in lines if line.startswith("│")]
    assert " ".join(filter(None, last_column)) == ROWS[1][2]


def test_a_table_without_rows_has_its_head():
    console = Console(file=StringIO(), width=80)
    print_table(console, HEADS, [])
    assert "verdict" in console.file.getvalue()
