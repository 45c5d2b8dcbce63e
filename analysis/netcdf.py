"""NetCDF files: the one place where data sets get their global attributes and are written."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

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
