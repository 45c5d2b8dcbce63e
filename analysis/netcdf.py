"""NetCDF files: the one place where data sets get their global attributes and are written."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from analysis.labelled import Labelled, Variable

if TYPE_CHECKING:
    import xarray as xr

CONVENTIONS: Final = "ACDD-1.3"
"""Attribute Convention for Data Discovery; units are in words where SI has none (``trials``)."""


def write_netcdf(data: "xr.Dataset", path: str | Path, *, title: str, version: str) -> None:
    """Write a data set to netCDF-4, with ``Conventions``, ``title`` and ``labkit_version``.

    Parameters
    ----------
    data : xarray.Dataset
        Real variables; its own attributes stay.
    path : str or Path
        Replaced if it exists.
    title : str
        What the data are, in a line.
    version : str
        Of labkit.
    """
    from xarray.backends import H5NetCDFStore

    labelled = data.assign_attrs(Conventions=CONVENTIONS, title=title, labkit_version=version)
    # `to_netcdf` would first load all its engines and, where it is installed, dask's scheduler
    store = H5NetCDFStore.open(str(path), mode="w", lock=False)
    try:
        labelled.dump_to_store(store)
    finally:
        store.close()


def write_labelled(data: Labelled, path: str | Path, *, title: str, version: str) -> None:
    """Write what `write_netcdf` would of `data.to_xarray()`, without xarray.

    Parameters
    ----------
    data : Labelled
        Real variables.
    path, title, version
        As in `write_netcdf`.
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
