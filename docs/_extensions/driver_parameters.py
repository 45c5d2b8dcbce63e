"""Tables of the QCoDeS parameters of drivers, as the instruments of the virtual lab have them."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from qcodes.instrument import InstrumentBase
from qcodes.parameters import ParameterBase
from sphinx.application import Sphinx

from labkit.lab import open_lab

Rows = list[tuple[str, str, str]]
EMPTY = "\\ "


def _with_parts(instrument: InstrumentBase) -> Iterator[InstrumentBase]:
    yield instrument
    for part in instrument.submodules.values():
        if isinstance(part, InstrumentBase):
            yield from _with_parts(part)


def _row(parameter: ParameterBase) -> tuple[str, str, str]:
    said = (parameter.__doc__ or "").partition("\n\n")[0]
    if not said or said.startswith("Parameter class"):
        said = str(getattr(parameter, "label", ""))
    return parameter.name, str(getattr(parameter, "unit", "")), " ".join(said.split())


@cache
def tables() -> dict[type, Rows]:
    """Return (name, unit, meaning) of every parameter, by class of instrument or channel."""
    found: dict[type, Rows] = {}
    with open_lab("virtual") as lab:
        for instrument in lab.instruments.values():
            for part in _with_parts(instrument):
                rows = [_row(p) for p in part.parameters.values() if p.name != "IDN"]
                found.setdefault(type(part), rows)
    return found


def append_table(
    _app: Sphinx, what: str, _name: str, documented: Any, _options: Any, lines: list[str]
) -> None:
    """Append the table to the docstring of a class of instruments or channels."""
    rows = tables().get(documented) if what == "class" else None
    if not rows:
        return
    lines += ["", ".. list-table:: QCoDeS parameters", "   :header-rows: 1", ""]
    for name, unit, said in [("parameter", "unit", "meaning"), *rows]:
        lines += [f"   * - {name}", f"     - {unit or EMPTY}", f"     - {said or EMPTY}"]
    lines.append("")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("autodoc-process-docstring", append_table)
    return {"parallel_read_safe": True}
