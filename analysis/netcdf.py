"""NetCDF files: the one place where data sets get their global attributes and are written."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from analysis.labelled import Labelled, Variable

CONVENTIONS: Final = "ACDD-1.3"
"""Attribute Convention for Data Discovery; units are in words where SI has none (``trials``)."""


def write_netcdf(data: Labelled, path: str | Path, *, title: str, version: str) -> None:
    """Write a data set to netCDF-4, with ``Conventions``, ``title`` and ``labkit_version``.

    What xarray would write of `data.to_xarray()`, without loading it.

    Parameters
    ----------
    data : Labelled
        Real variables.
    path : str or Path
        Replaced if it exists.
    title : str
        What the data are, in a line.
    version : str
        Of labkit.
    """
    write_groups({}, path, {"title": title, "labkit_version": version}, root=data)


def write_groups(
    groups: Mapping[str, Labelled],
    path: str | Path,
    about: Mapping[str, str],
    *,
    root: Labelled | None = None,
) -> None:
    """Write data sets to the groups of a netCDF-4 file, with ``Conventions``.

    Parameters
    ----------
    groups : mapping of str to Labelled
        By name; real variables.
    path : str or Path
        Replaced if it exists.
    about : mapping of str to str
        Global attributes.
    root : Labelled, optional
        What is in no group.
    """
    import h5netcdf

    with h5netcdf.File(str(path), "w") as file:
        top = root or Labelled(variables={}, coordinates={}, attributes={})
        _write(file, top, {"Conventions": CONVENTIONS, **about})
        for name, data in groups.items():
            _write(file.create_group(name), data, {})


def _write(group: Any, data: Labelled, about: Mapping[str, str]) -> None:
    group.attrs.update({**data.attributes, **about})
    group.dimensions = data.sizes
    for name, variable in {**data.variables, **data.coordinates}.items():
        _write_variable(group, name, variable)


def _write_variable(group: Any, name: str, variable: Variable) -> None:
    import h5py

    names, values, told = variable
    kind, attributes = values.dtype.kind, dict(told)
    if kind == "b":
        values, attributes = values.astype(np.int8), attributes | {"dtype": "bool"}
    elif kind == "U":
        values = values.astype(object)
    dtype = h5py.string_dtype() if kind == "U" else values.dtype
    gap = values.dtype.type(np.nan) if kind == "f" else None
    written = group.create_variable(name, names, dtype=dtype, fillvalue=gap)
    written.attrs.update(attributes)
    written[...] = values
