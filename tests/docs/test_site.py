"""The documentation site: every page can be found, every example runs as it is printed."""

import re
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = sorted((DOCS / "examples").glob("*.md"))
CELL = re.compile(r"^```\{code-cell\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def pages():
    built = ("_build", "generated", "jupyter_execute")
    return {p for p in DOCS.rglob("*.md") if not set(built) & set(p.relative_to(DOCS).parts)}


def listed_in(page):
    for body in TOCTREE.findall(page.read_text(encoding="utf-8")):
        for line in filter(None, body.splitlines()):
            entry = re.sub(r".*<(.+)>$", r"\1", line)
            if not entry.startswith(":"):
                yield from page.parent.glob(f"{entry}.md")


def cells_of(example):
    found = CELL.findall(example.read_text(encoding="utf-8"))
    return [re.sub(r"^%.*$", "", cell, flags=re.MULTILINE) for cell in found]


def test_every_page_is_in_a_table_of_contents():
    listed = {found for page in pages() for found in listed_in(page)}
    assert pages() - listed == {DOCS / "index.md"}


def test_every_module_of_the_reference_exists():
    text = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md"))
    named = re.findall(
        r"^   ((?:analysis|instruments|labkit|simulation)[\w.]*)$", text, re.MULTILINE
    )
    assert len(named) > 100
    assert [name for name in named if find_spec(name) is None] == []


@pytest.mark.long
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = cells_of(example)
    assert cells
    names = {"__name__": example.stem}
    try:
        with mpl.rc_context({"backend": "agg"}):
            for number, cell in enumerate(cells):
                exec(compile(cell, f"{example.name}, cell {number}", "exec"), names)
    finally:
        plt.close("all")
        for held in [value for value in names.values() if isinstance(value, ExitStack)]:
            held.close()
