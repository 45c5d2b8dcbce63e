"""What is written without xarray is what xarray writes."""

import h5py
import numpy as np
import pytest
import xarray as xr

from analysis.labelled import Labelled
from analysis.netcdf import CONVENTIONS, write_groups, write_netcdf

DATA = Labelled(
    variables={
        "E_N": (
            ("x", "y"),
            np.array([[0.5, np.nan], [0.25, 1.0]]),
            {"units": "", "long_name": "E"},
        ),
        "stable": (("x", "y"), np.array([[True, False], [True, True]]), {"units": ""}),
        "shares": (("x", "y", "mode"), np.arange(12.0).reshape(2, 2, 3), {"units": "1/s"}),
        "number": (("x",), np.array([3, 4]), {}),
        "total": ((), np.array(7), {}),
    },
    coordinates={
        "x": (("x",), np.array([0.1, 0.2]), {"units": "ω_b"}),
        "y": (("y",), np.array([1, 2]), {"units": ""}),
        "mode": (("mode",), np.array(["a1", "a2", "b"]), {}),
    },
    attributes={"model": "yu2020", "temperature": 0.02, "quanta": 3, "word": "Γ"},
)


@pytest.fixture
def files(tmp_path):
    here, there = tmp_path / "here.nc", tmp_path / "there.nc"
    write_netcdf(DATA, here, title="a map", version="1")
    about = {"Conventions": CONVENTIONS, "title": "a map", "labkit_version": "1"}
    DATA.to_xarray().assign_attrs(about).to_netcdf(there, engine="h5netcdf")
    return here, there


def test_both_files_hold_the_same_data_set(files):
    here, there = (xr.load_dataset(file, engine="h5netcdf") for file in files)
    xr.testing.assert_identical(here, there)
    assert here.stable.dtype == bool
    assert here.attrs["temperature"] == 0.02


def test_both_files_are_alike_to_other_readers(files):
    def told(file):
        found = {}
        with h5py.File(file) as opened:
            for name, each in opened.items():
                attributes = {k: str(v) for k, v in each.attrs.items() if k not in OWN}
                found[name] = (each.dtype, each.shape, str(each.fillvalue), attributes)
        return found

    here, there = map(told, files)
    assert here == there


def test_groups_and_dimensions_without_coordinates_are_what_xarray_writes(tmp_path):
    bare = Labelled(
        variables={
            "p": (("chain", "draw"), np.array([[0.1, 0.2, 0.3]]), {"units": ""}),
            "N": (("row", "row_1"), np.ones((2, 2)), {}),
        },
        coordinates={},
        attributes={"seed": 3},
    )
    here, there = tmp_path / "here.nc", tmp_path / "there.nc"
    groups, about = {"draws": bare, "map": DATA}, {"title": "both"}
    write_groups(groups, here, about)
    root = xr.Dataset(attrs={"Conventions": CONVENTIONS} | about)
    tree = {"/": root} | {f"/{name}": data.to_xarray() for name, data in groups.items()}
    xr.DataTree.from_dict(tree).to_netcdf(there, engine="h5netcdf")
    with (
        xr.open_datatree(here, engine="h5netcdf") as ours,
        xr.open_datatree(there, engine="h5netcdf") as theirs,
    ):
        xr.testing.assert_identical(ours, theirs)
    with h5py.File(here) as ours, h5py.File(there) as theirs:
        for name in ("draws/p", "draws/draw", "draws/N", "map/shares"):
            for mark in ("_Netcdf4Dimid", "_Netcdf4Coordinates", "NAME"):
                assert np.all(ours[name].attrs.get(mark) == theirs[name].attrs.get(mark))


OWN = ("REFERENCE_LIST", "DIMENSION_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates")
"""HDF5's own book-keeping of dimensions: references, and numbers in the order of creation."""


def test_complex_numbers_are_written_as_two_real_ones():
    swept = Labelled(
        variables={"G": (("x",), np.array([1 + 2j, 3.0]), {"units": "Hz"})},
        coordinates={"x": (("x",), np.array([0.0, 1.0]), {})},
        attributes={},
    )
    found = swept.in_real_parts().to_xarray()
    assert found.G.sel(part="im").values.tolist() == [2.0, 0.0]
    assert found.G.attrs == {"units": "Hz"}
    assert DATA.in_real_parts() is DATA
