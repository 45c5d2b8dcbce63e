"""The directive ``commands``: every command of labkit with its help, as a terminal shows it."""

import os
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx
from typer.main import get_command

from labkit.cli import app_for


def pages(command: Any, name: str, parent: Any = None) -> Iterator[tuple[str, str]]:
    """Yield (words, help) of a command and all below it."""
    settings = {} if parent else command.context_settings
    context = command.context_class(command, parent=parent, info_name=name, **settings)
    yield context.command_path, command.get_help(context)
    for below, each in getattr(command, "commands", {}).items():
        yield from pages(each, below, context)


class Commands(Directive):
    """A section per command."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        os.environ["COLUMNS"] = "89"
        made: list[nodes.Node] = []
        for words, text in pages(get_command(app_for()), "labkit"):
            section = nodes.section(ids=[words.replace(" ", "-")])
            section += nodes.title(text=words)
            section += nodes.literal_block(text, text, language="text")
            made.append(section)
        return made


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True}
