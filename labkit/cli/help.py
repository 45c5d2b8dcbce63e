"""How commands present themselves: usage, help and refusals that say what exists."""

import inspect
import os
import re
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from enum import Enum
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    Page = TyperCommand
else:
    Page = object

VALUES: dict[type, str] = {Path: "FILE", int: "N", float: "X", str: "NAME"}
"""What stands for a value of a type, unless an option says it better."""

NARROWEST, WIDEST, LEFT = 40, 100, 28
"""Columns of a help page, and of the names in it."""

_UNREAD = object()
"""Stands for a value that typer must read."""


class App(typer.Typer):
    """A group of commands; shown by itself, it lists them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(cls=Commands, no_args_is_help=True, rich_markup_mode=None, **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """Add a command, which presents itself as all do."""
        return super().command(name, cls=CommandPage, **options)


class _Page(Page):
    """Usage and help in whole words, at any width; values read without detours."""

    def get_usage(self, ctx: Any) -> str:
        """Return the line that shows what must and what may be given."""
        words = [*self._usage_words()]
        head = f"Usage: {ctx.command_path}"
        return _filled([head, *words], _width(), " " * 7)

    def _usage_words(self) -> Iterator[str]:
        yield "[OPTIONS]"
        for argument in self._of_kind("argument"):
            name = _value(argument, self)
            yield name if argument.required else f"[{name}]"

    def _of_kind(self, kind: str) -> list[Any]:
        return [each for each in self.params if each.param_type_name == kind]

    def get_help(self, ctx: Any) -> str:
        """Return the whole page."""
        paragraphs = inspect.cleandoc(self.help or "").split("\n\n")
        texts = [_filled(text.split(), _width(), "  ", first="  ") for text in paragraphs]
        parts = [self.get_usage(ctx), *texts]
        rows: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                kind = "Options" if parameter.param_type_name == "option" else "Arguments"
                rows[kind].append((_name(parameter, self), _in_words(record[1])))
        parts += [_section(head, those) for head, those in rows.items() if those]
        return "\n\n".join(part for part in parts if part)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; an option that does not exist is answered with those that do."""
        for each in self.get_params(ctx):  # those of completion come after the rest
            vars(each).setdefault("process_value", partial(_processed, each, each.process_value))
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            if type(error).__name__ != "NoSuchOption":  # a private class of typer's
                raise
            known = [each for option in self._of_kind("option") for each in option.opts]
            name = str(getattr(error, "option_name", ""))
            ctx.fail(_no_such("option", name, known))
            raise


class CommandPage(_Page, TyperCommand):
    """One command."""


def _processed(parameter: Any, read: Callable[[Any, Any], Any], ctx: Any, value: Any) -> Any:
    """Return the value of an argument or option.

    Absent ones, defaults, words and readable paths are handed on here. All else, and all that must
    be refused, is read by typer, which loads pydantic for it: a sixth of a short command's time.
    """
    ready = _ready(parameter, ctx.command.callback, value)
    if ready is _UNREAD:
        return read(ctx, value)
    return ready if parameter.callback is None else parameter.callback(ctx, parameter, ready)


def _ready(parameter: Any, function: Callable[..., object] | None, value: Any) -> Any:
    several = parameter.multiple or parameter.nargs != 1
    if value is None or value == ():
        return _UNREAD if parameter.required else () if several else None
    if function is None or parameter.name not in _annotations(function):
        return _UNREAD
    hint, info = _annotations(function)[parameter.name]
    values = value if several and isinstance(value, list | tuple) else (value,)
    if info.parser is not None and any(isinstance(each, str) for each in values):
        return _UNREAD
    if hint is Path:
        values = tuple(_path(each) for each in values)
    if not all(_is_of(each, hint) for each in values):
        return _UNREAD
    return list(values) if several else values[0]


def _path(value: Any) -> Any:
    """Return the path of a word, if nothing speaks against it."""
    path = Path(value)
    return path if not path.exists() or os.access(path, os.R_OK) else value


def _is_of(value: object, hint: Any) -> bool:
    """Tell whether a value already is what a command takes, of a type that has no other forms."""
    if hint is Path:
        return isinstance(value, Path)
    return hint in (bool, int, float, str) and type(value) is hint


@cache
def _annotations(function: Callable[..., object]) -> dict[str, tuple[Any, Any]]:
    """Return each parameter's innermost type, and what typer was told of it."""
    hints = get_type_hints(inspect.unwrap(function), include_extras=True)
    return {name: (_innermost(hint), get_args(hint)[-1]) for name, hint in hints.items()
            if hasattr(hint, "__metadata__")}  # fmt: skip


def _innermost(hint: Any) -> Any:
    while get_args(hint):  # list[str] | None
        hint = get_args(hint)[0]
    return hint


class Commands(_Page, TyperGroup):
    """A group of commands."""

    def _usage_words(self) -> Iterator[str]:
        yield from ("[OPTIONS]", "COMMAND", "…")

    def get_help(self, ctx: Any) -> str:
        """Return the page, with every command's whole first sentence."""
        rows = [(name, each.get_short_help_str(limit=500)) for name, each in self.commands.items()]
        return f"{super().get_help(ctx)}\n\n{_section('Commands', rows)}"

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find a command by its name; one that does not exist is answered with those that do."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            ctx.fail(_no_such("command", name, self.list_commands(ctx)))
        return super().resolve_command(ctx, args)


def _no_such(what: str, name: str, known: list[str]) -> str:
    near = ", ".join(get_close_matches(name, known))
    meant = f"Did you mean {near}? " if near else ""
    return f"No such {what} {name!r}. {meant}{what.capitalize()}s are {', '.join(known)}."


def _in_words(text: str) -> str:
    """Write the range of a number, as typer has it, in words."""
    text = re.sub(r"\b([-\d.]+)<=x<=([-\d.]+)\]", r"\1 to \2]", text)
    return re.sub(r"\bx>=([-\d.]+)\]", r"at least \1]", text)


def _name(parameter: Any, command: Any) -> str:
    if parameter.param_type_name == "argument":
        return _value(parameter, command)
    names = ", ".join(sorted(parameter.opts, key=len))
    if parameter.is_flag:
        return " / ".join((names, *parameter.secondary_opts))
    return f"{names} {_value(parameter, command)}"


def _value(parameter: Any, command: Any) -> str:
    """Return what stands for a parameter's value: its own word, or its type's."""
    if parameter.metavar:
        return str(parameter.metavar)
    hint = _innermost(get_type_hints(inspect.unwrap(command.callback)).get(parameter.name, str))
    if issubclass(hint, Enum):
        return "|".join(str(each.value) for each in hint)
    return VALUES[hint]


def _width() -> int:
    return min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST) - 1


def _filled(words: Iterable[str], width: int, indent: str, first: str = "") -> str:
    """Return words on lines of a width; none is broken, for it may be copied."""
    return textwrap.fill(
        " ".join(words), width, initial_indent=first, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _section(head: str, rows: list[tuple[str, str]]) -> str:
    left = min(LEFT, max(len(name) for name, _ in rows)) + 4
    lines = [f"{head}:"]
    for name, text in rows:
        start = f"  {name}".ljust(left)
        if len(start) > left or start[-1] != " ":
            lines.append(start.rstrip())
            start = " " * left
        lines.append(_filled(text.split(), _width(), " " * left, first=start))
    return "\n".join(lines)
