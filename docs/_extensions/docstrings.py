"""What Sphinx must be told about labkit's docstrings, and tables of physical parameters."""

import re
import sys
from dataclasses import fields
from typing import Any

from docutils import nodes
from numpy.typing import ArrayLike
from qcodes.instrument.instrument_meta import InstrumentMeta
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import inspect
from sphinx.util.typing import stringify_annotation

from simulation.theory.quantities import Parameters

COLON = "\N{RATIO}"
"""Stands for a colon while napoleon reads; docstrings do not use it."""

ONLY_A_UNIT = re.compile(r"^(\s+)([A-Za-z]\.)$")
LITERAL = re.compile(r"(``.+?``)")
PAGES = "api/generated/"
ARRAY_LIKE = stringify_annotation(ArrayLike, "smart")
ARRAY = re.compile(r"~numpy\.ndarray\[tuple\[~typing\.Any, \.\.\.\], ~numpy\.dtype\[(.+?)\]\]")


def before_napoleon(
    _app: Sphinx, what: str, _name: str, _object: Any, _options: Any, lines: list[str]
) -> None:
    """Keep words before a colon from being read as a type, and a unit ("V.") as a list's number."""
    lines[:] = [ONLY_A_UNIT.sub(r"\1\\\2", line) for line in lines]
    if what in {"attribute", "data", "property"} and lines:
        lines[0] = lines[0].replace(":", COLON)


def plain_text(
    _app: Sphinx, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]
) -> None:
    """Put colons back, and keep the bars of |β|² from being read as substitutions."""
    for i, line in enumerate(lines):
        parts = LITERAL.split(line.replace(COLON, ":"))
        parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
        lines[i] = "".join(parts)


def quantities_of(documented: Any) -> dict[str, Any]:
    """Return what the fields of a class of physical parameters mean; empty for anything else."""
    if isinstance(documented, type) and issubclass(documented, Parameters):
        return dict(documented.quantities())
    return {}


def parameter_table(
    _app: Sphinx, _what: str, _name: str, documented: Any, _options: Any, lines: list[str]
) -> None:
    """Append a table of unit, default and meaning to a class of physical parameters."""
    quantities = quantities_of(documented)
    if not quantities:
        return
    defaults = {entry.name: entry.default for entry in fields(documented)}
    rows = [("parameter", "default", "unit", "meaning")]
    for name, quantity in quantities.items():
        default = defaults[name]
        text = f"{default:.4g}" if isinstance(default, float | int) else default or "derived"
        source = getattr(quantity, "source", "")
        meaning = quantity.meaning + (f" ({source})" if source else "")
        rows.append((f"``{name}``", text, quantity.unit or "\\ ", meaning))
    lines += ["", ".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        first, *others = row
        lines += [f"   * - {first}", *(f"     - {cell}" for cell in others)]
    lines.append("")


def short_signature(
    _app: Sphinx,
    _what: str,
    _name: str,
    documented: Any,
    _options: Any,
    arguments: str | None,
    returned: str | None,
) -> tuple[str | None, str | None]:
    """Write numpy's aliases by name; leave out arguments where the table says it better."""
    if quantities_of(documented):
        return "(**parameters)", None
    if isinstance(documented, InstrumentMeta):  # whose own call hides the driver's arguments
        found = inspect.signature(documented.__init__, bound_method=True)
        arguments = inspect.stringify_signature(
            found, show_return_annotation=False, unqualified_typehints=True
        )
    return _with_aliases(arguments), _with_aliases(returned)


def _with_aliases(text: str | None) -> str | None:
    if text is None:
        return None
    return ARRAY.sub(
        r"~numpy.typing.NDArray[\1]", text.replace(ARRAY_LIKE, "~numpy.typing.ArrayLike")
    )


def once(
    app: Sphinx, _what: str, name: str, documented: Any, skip: bool, _options: Any
) -> bool | None:
    """Leave out what a package offers under its own name: there it is documented."""
    module = app.env.docname.removeprefix(PAGES)
    if skip or getattr(documented, "__module__", None) != module:
        return None
    packages = [module.rsplit(".", depth)[0] for depth in range(1, module.count(".") + 1)]
    offered = any(name in getattr(sys.modules[package], "__all__", ()) for package in packages)
    return True if offered else None


def types_by_import(_app: Sphinx, doctree: nodes.document) -> None:
    """Link the words of a type line to what they mean in their module, and no others."""
    for node in list(doctree.findall(addnodes.pending_xref)):
        if not node.get("refspecific") or "." in node["reftarget"]:
            continue
        module = sys.modules.get(node.get("py:module") or "")
        meant = getattr(module, node["reftarget"], None)
        if isinstance(meant, type):
            node["reftarget"] = f"{meant.__module__}.{meant.__qualname__}"
            node["refspecific"] = False
        else:
            node.replace_self(node.children)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("autodoc-process-docstring", before_napoleon, priority=400)
    app.connect("autodoc-process-docstring", parameter_table)
    app.connect("autodoc-process-docstring", plain_text)
    app.connect("autodoc-process-signature", short_signature)
    app.connect("autodoc-skip-member", once)
    app.connect("doctree-read", types_by_import)
    return {"parallel_read_safe": True}
