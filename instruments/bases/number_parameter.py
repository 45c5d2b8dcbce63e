"""Numbers that an instrument is asked for as ``HEADER?`` and given as ``HEADER value``."""

from typing import TYPE_CHECKING, TypeVar

from qcodes.instrument import InstrumentBase
from qcodes.validators import Numbers

if TYPE_CHECKING:
    from qcodes.parameters import Parameter

OwnerT = TypeVar("OwnerT", bound=InstrumentBase)


def add_number(
    owner: OwnerT,
    name: str,
    header: str,
    unit: str,
    label: str,
    low: float,
    high: float,
    *,
    form: str = ".8g",
    prefix: str = "",
) -> "Parameter[float, OwnerT]":
    """Add a parameter to an instrument or channel and return it.

    Parameters
    ----------
    owner : InstrumentBase
    name, header, unit, label : str
    low, high : float
        What is sent to the instrument at all.
    form : str
        Format of a value in a command.
    prefix : str
        Of the header: which channel or controller is meant.
    """
    return owner.add_parameter(
        name,
        label=label,
        unit=unit,
        get_cmd=f"{prefix}{header}?",
        get_parser=float,
        set_cmd=f"{prefix}{header} {{:{form}}}",
        vals=Numbers(low, high),
        docstring=f"{label} (``{header}``).",
    )
