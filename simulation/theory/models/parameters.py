"""Parameters of a model: a frozen dataclass whose fields carry unit, range, meaning and source."""

from collections.abc import Hashable
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import cache
from typing import Any, NamedTuple, cast, get_type_hints

from simulation.theory.quantities import Range, checked, common_shape


class Choice(NamedTuple):
    """Allowed words of a parameter that is no number."""

    options: tuple[str, ...]

    @property
    def text(self) -> str:
        """Complete "the value must …"."""
        return f"be one of {', '.join(self.options)}"


class Quantity(NamedTuple):
    """What a parameter means: unit (empty for a number), allowed values, meaning, source."""

    unit: str
    allowed: Range | Choice
    meaning: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parameters:
    """Base of the parameters of every model: numbers or arrays, checked when made.

    Each field is annotated with its `Quantity`:
    ``kappa: Annotated[Value, Quantity("Hz", NON_NEGATIVE, "damping", "p. 3")] = 1e6``.
    A default of None means "not given": the model derives the value from others.

    Raises
    ------
    ValueError
        If a value is outside its range, or the arrays do not broadcast.
    """

    def __post_init__(self) -> None:
        for name, item in self.quantities().items():
            value = getattr(self, name)
            if value is None or isinstance(item.allowed, Choice):
                _check_word(name, value, item)
            else:
                object.__setattr__(self, name, checked(name, value, item.allowed))
        _ = self.shape

    @classmethod
    def quantities(cls) -> dict[str, Quantity]:
        """Return unit, range, meaning and source of every parameter, by name."""
        return dict(_quantities(cast("Hashable", cls)))

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return the paper's value of every parameter, by name."""
        return {entry.name: entry.default for entry in fields(cls)}

    @classmethod
    def known(cls, name: str) -> str:
        """Return `name` if it is a parameter.

        Raises
        ------
        KeyError
            If not; the nearest names are offered.
        """
        names = list(cls.quantities())
        if name not in names:
            near = get_close_matches(name, names, n=3, cutoff=0.4) or names
            message = f"no parameter {name!r}; nearest: {', '.join(near)}"
            raise KeyError(message)
        return name

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the batch: ``()`` if every parameter is a number."""
        values = {name: getattr(self, name) for name in self.quantities()}
        return common_shape(
            {name: value for name, value in values.items() if not isinstance(value, str | None)}
        )


@cache
def _quantities(parameters: Any) -> dict[str, Quantity]:
    hints = get_type_hints(parameters, include_extras=True)
    return {entry.name: hints[entry.name].__metadata__[0] for entry in fields(parameters)}


def _check_word(name: str, value: object, item: Quantity) -> None:
    allowed = item.allowed
    if value is None or (isinstance(allowed, Choice) and value in allowed.options):
        return
    message = f"`{name}` must {allowed.text}, but is {value!r}"
    raise ValueError(message)
