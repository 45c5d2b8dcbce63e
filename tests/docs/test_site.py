"""The documentation site: every page can be found, every example runs as it is printed."""

import re
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from typer.main import get_command

from labkit.cli import app_for

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


def test_every_picture_has_words_for_those_who_cannot_see_it():
    for page in [*pages(), DOCS.parent / "README.md"]:
        for words, file in re.findall(r"!\[(.*?)\]\((.*?)\)", page.read_text(encoding="utf-8")):
            assert len(words.split()) >= 4, f"{page}: {file}"
            assert (page.parent / file).is_file(), f"{page}: {file}"


def test_every_link_inside_the_site_leads_somewhere():
    for page in [*pages(), DOCS.parent / "README.md"]:
        text = re.sub(
            r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
        )
        for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)#\s]+)", text):
            if not re.match(r"https?:", target):
                assert (page.parent / target).exists(), f"{page}: {target}"


def test_links_to_parts_of_a_page_name_a_heading():
    for page in pages():
        for target, part in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text("utf-8")):
            if not re.match(r"https?:", target):
                text = (page.parent / target if target else page).read_text(encoding="utf-8")
                heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
                slugs = [re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads]
                assert part in slugs, f"{page}: {target}#{part}"


def test_commands_in_the_pages_exist_with_their_options():
    """What stands in a shell block is a command of this version, with options that it has."""
    for page in [*pages(), DOCS.parent / "README.md"]:
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(
            r"^ *```(?:sh|console|\{code-cell\})\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL
        )
        for line in "".join(blocks).splitlines():
            for words in re.findall(
                r"(?:^|[;|] *)(?:\$ )?(?:\.venv/bin/)?labkit ([^|;]*)", line.strip()
            ):
                check_command(words.partition("#")[0].split(), f"{page}: {line}")


def check_command(words, where):
    command = get_command(app_for())
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        assert words[0] in command.commands, where
        command = command.commands[words.pop(0)]
    known = {"-h", "--help"} | {name for each in command.params for name in each.opts}
    for word in words:
        if re.match(r"--?[a-z]", word):
            assert word in known, where


def test_every_module_of_the_reference_exists():
    text = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md"))
    named = re.findall(
        r"^   ((?:analysis|instruments|labkit|simulation)[\w.]*)$", text, re.MULTILINE
    )
    assert len(named) > 100
    assert [name for name in named if find_spec(name) is None] == []


@pytest.mark.long
@pytest.mark.example
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
