"""Variables with coordinates and units, as in an `xarray.Dataset`, which takes long to load."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import xarray as xr

Variable = tuple[tuple[str, ...], NDArray[Any], Mapping[str, str]]
"""Names of its dimensions, values, attributes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labelled:
    """A data set as plain arrays with names.

    Attributes
    ----------
    variables : mapping of str to (dimensions, values, attributes)
    coordinates : mapping of str to (dimensions, values, attributes)
        Each by the name of its only dimension; a dimension may have none.
    attributes : mapping of str to float or str
    """

    variables: Mapping[str, Variable]
    coordinates: Mapping[str, Variable]
    attributes: Mapping[str, Any]

    @property
    def sizes(self) -> dict[str, int]:
        """Lengths of the dimensions."""
        found = {name: len(values) for name, (_, values, _) in self.coordinates.items()}
        for names, values, _ in self.variables.values():
            found |= dict(zip(names, values.shape, strict=True))
        return found

    def to_xarray(self) -> "xr.Dataset":
        """Return the data set."""
        import xarray as xr

        return xr.Dataset(dict(self.variables), dict(self.coordinates), dict(self.attributes))

    def __or__(self, other: "Labelled") -> "Labelled":
        """Return the variables, coordinates and attributes of both; the other's go before."""
        return Labelled(
            variables={**self.variables, **other.variables},
            coordinates={**self.coordinates, **other.coordinates},
            attributes={**self.attributes, **other.attributes},
        )

    def in_real_parts(self) -> "Labelled":
        """Make complex variables real ones with a last dimension ``part``: re, im."""
        parts: Variable = ("part",), np.array(["re", "im"]), {}
        variables = {
            name: ((*names, "part"), np.stack([values.real, values.imag], -1), attributes)
            if np.iscomplexobj(values) else (names, values, attributes)
            for name, (names, values, attributes) in self.variables.items()
        }  # fmt: skip
        if not any("part" in names for names, _, _ in variables.values()):
            return self
        return Labelled(
            variables=variables, coordinates={**self.coordinates, "part": parts},
            attributes=self.attributes,
        )  # fmt: skip
