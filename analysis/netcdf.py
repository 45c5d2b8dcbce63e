"""NetCDF files: the one place where data sets get their global attributes and are written."""

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
    import h5netcdf

    about = {"Conventions": CONVENTIONS, "title": title, "labkit_version": version}
    with h5netcdf.File(str(path), "w") as file:
        file.attrs.update({**data.attributes, **about})
        file.dimensions = data.sizes
        for name, variable in {**data.variables, **data.coordinates}.items():
            _write(file, name, variable)


def _write(file: Any, name: str, variable: Variable) -> None:
    import h5py

    names, values, told = variable
    kind, attributes = values.dtype.kind, dict(told)
    if kind == "b":
        values, attributes = values.astype(np.int8), attributes | {"dtype": "bool"}
    elif kind == "U":
        values = values.astype(object)
    dtype = h5py.string_dtype() if kind == "U" else values.dtype
    gap = values.dtype.type(np.nan) if kind == "f" else None
    written = file.create_variable(name, names, dtype=dtype, fillvalue=gap)
    written.attrs.update(attributes)
    written[...] = values
