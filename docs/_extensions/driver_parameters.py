"""Tables of the QCoDeS parameters of drivers, as their classes declare them."""

from typing import Any

from sphinx.application import Sphinx

from instruments.bases.parameters import Declared, declared

EMPTY = "\\ "


def _row(parameter: Declared[Any]) -> tuple[str, str, str]:
    said = parameter.doc or parameter.label
    return parameter.name, parameter.unit, " ".join(said.split())


def append_table(
    _app: Sphinx, what: str, _name: str, documented: Any, _options: Any, lines: list[str]
) -> None:
    """Append the table to the docstring of a class of instruments or channels."""
    rows = [_row(row) for row in declared(documented).values()] if what == "class" else []
    if not rows:
        return
    lines += ["", ".. list-table:: QCoDeS parameters", "   :header-rows: 1", ""]
    for name, unit, said in [("parameter", "unit", "meaning"), *rows]:
        lines += [f"   * - {name}", f"     - {unit or EMPTY}", f"     - {said or EMPTY}"]
    lines.append("")


def _leave_out(
    _app: Sphinx, _what: str, _name: str, documented: Any, _skip: bool, _options: Any
) -> bool | None:
    """Leave the rows themselves out of the members: they stand in the table."""
    return True if isinstance(documented, Declared) else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("autodoc-process-docstring", append_table)
    app.connect("autodoc-skip-member", _leave_out)
    return {"parallel_read_safe": True}
