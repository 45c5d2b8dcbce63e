"""NetCDF files: the one place where data sets get their global attributes and are written.

In HDF5 a dimension is a scale that is attached to its variables: its coordinate, or a data set
without values (netCDF-4 specification, NetCDF User's Guide, appendix B).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from analysis.labelled import Labelled, Variable

CONVENTIONS: Final = "ACDD-1.3"
"""Attribute Convention for Data Discovery; units are in words where SI has none (``trials``)."""

_NO_VARIABLE: Final = "This is a netCDF dimension but not a netCDF variable."


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

    Each variable that a netCDF library creates costs it milliseconds of looking up dimensions.

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
    import h5py

    with h5py.File(path, "w", track_order=True) as file:
        top = root or Labelled(variables={}, coordinates={}, attributes={})
        _set(file, {**top.attributes, "Conventions": CONVENTIONS, **about})
        number = _write(file, top, 0)
        for name, data in groups.items():
            group = file.create_group(name, track_order=True)
            _set(group, data.attributes)
            number = _write(group, data, number)


def _write(group: Any, data: Labelled, number: int) -> int:
    """Write dimensions, from this number on, and variables; return the next number."""
    scales: dict[str, Any] = {}
    numbers: dict[str, int] = {}
    for name, size in data.sizes.items():
        if name in data.coordinates:
            scale, label = _variable(group, name, data.coordinates[name]), name
        else:
            scale = group.create_dataset(name, (size,), ">f4", track_order=True)
            label = f"{_NO_VARIABLE}{size:10}"
        numbers[name] = number + len(numbers)
        scale.attrs["_Netcdf4Dimid"] = np.int32(numbers[name])
        scale.make_scale(label)
        if name in data.coordinates:
            scale.attrs["_Netcdf4Coordinates"] = np.array([numbers[name]], np.int32)
        scales[name] = scale
    for name, variable in data.variables.items():
        written = _variable(group, name, variable)
        for axis, dimension in enumerate(variable[0]):
            written.dims[axis].attach_scale(scales[dimension])
        if variable[0]:
            own = [numbers[dimension] for dimension in variable[0]]
            written.attrs["_Netcdf4Coordinates"] = np.array(own, np.int32)
            written.attrs["_Netcdf4Dimid"] = np.int32(own[0])
    return number + len(numbers)


def _variable(group: Any, name: str, variable: Variable) -> Any:
    import h5py

    _, values, told = variable
    kind, attributes = values.dtype.kind, dict[str, Any](told)
    if kind == "b":
        values, attributes = values.astype(np.int8), attributes | {"dtype": "bool"}
    elif kind == "U":
        values = values.astype(object)
    elif kind == "f":
        attributes = {"_FillValue": values.dtype.type(np.nan)} | attributes
    written = group.create_dataset(
        name,
        values.shape,
        h5py.string_dtype() if kind == "U" else values.dtype,
        data=values,
        fillvalue=np.nan if kind == "f" else None,
        track_order=True,
    )
    _set(written, attributes)
    return written


def _set(place: Any, attributes: Mapping[str, Any]) -> None:
    """Write attributes; netCDF has no numbers but arrays of them."""
    for name, value in attributes.items():
        place.attrs[name] = value if isinstance(value, str) else np.atleast_1d(value)
