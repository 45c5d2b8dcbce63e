"""The table of a lab's roles, below the description of their module."""

from typing import Any

from sphinx.application import Sphinx

from labkit.station import roles


def append_table(
    _app: Sphinx, _what: str, _name: str, documented: Any, _options: Any, lines: list[str]
) -> None:
    """Append the table to the docstring of `labkit.station.roles`."""
    if documented is not roles:
        return
    lines += ["", ".. list-table:: Roles; those with a star may be missing", ""]
    for name, role in roles.ROLES.items():
        star = "" if role.required else r" \*"
        lines += [f"   * - {name}{star}", f"     - {role.protocol.__name__}"]
        lines.append(f"     - {role.meaning}")
    lines.append("")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("autodoc-process-docstring", append_table)
    return {"parallel_read_safe": True}
