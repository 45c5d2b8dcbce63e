import subprocess
import sys

import numpy as np
import pytest

import analysis.tagfile as tagfile
from analysis.tagfile.formats import open_tags
from analysis.tagfile.ptu_writer import PtuWriter
from analysis.tagfile.source import TagFileError


def test_content_counts_more_than_the_suffix(tmp_path):
    with PtuWriter(tmp_path / "odd.csv", sync_rate=20e3) as writer:
        writer.write(np.arange(3, dtype=np.uint32))
    assert open_tags(tmp_path / "odd.csv").format == "ptu"
    np.savez(tmp_path / "x.npz", time_ps=[1], channel=[0])
    (tmp_path / "x.npz").rename(tmp_path / "x.dat")
    assert open_tags(tmp_path / "x.dat").format == "npz"


def test_csv_is_told_by_its_suffix(tmp_path):
    (tmp_path / "x.CSV").write_text("time_ps,channel\n1,0\n")
    assert open_tags(str(tmp_path / "x.CSV")).format == "csv"


def test_unknown_format_lists_those_that_exist(tmp_path):
    (tmp_path / "x.dat").write_bytes(bytes(100))
    with pytest.raises(TagFileError, match=r"ptu \(\.ptu\), photon-hdf5 \(\.h5/\.hdf5\), csv"):
        open_tags(tmp_path / "x.dat")


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"PQHISTO\0", "histogram"),
        (b"\x1f\x8b\x08", "gunzip"),
        (b"version https://git-lfs.github.com", "git lfs pull"),
        (b"MATLAB 5.0 MAT-file", "numpy.savez"),
        (b"<!DOCTYPE html>", "download went wrong"),
    ],
)
def test_files_without_tags_are_named_with_what_to_do(tmp_path, head, said):
    (tmp_path / "x.ptu").write_bytes(head.ljust(200, b"\0"))
    with pytest.raises(TagFileError, match=rf"x\.ptu: must be a tag file, but is .*{said}"):
        open_tags(tmp_path / "x.ptu")


def test_empty_missing_and_folder_are_told_apart(tmp_path):
    (tmp_path / "x.ptu").touch()
    with pytest.raises(TagFileError, match=r"x.ptu: the file is empty"):
        open_tags(tmp_path / "x.ptu")
    with pytest.raises(TagFileError, match="no such file"):
        open_tags(tmp_path / "y.ptu")
    with pytest.raises(TagFileError, match="is a folder"):
        open_tags(tmp_path)


def test_beginning_of_a_ptu_file_is_said_to_be_no_ptu_file(tmp_path):
    (tmp_path / "x.ptu").write_bytes(b"PQT")
    with pytest.raises(TagFileError, match="not a PTU file"):
        open_tags(tmp_path / "x.ptu")


def test_import_loads_no_library_that_is_seldom_needed():
    names = "open_tags, summarise, convert, PtuFile, PtuWriter"
    code = f"import sys; from analysis.tagfile import {names}; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"pandas", "h5py", "pyarrow", "numba", "scipy", "ptufile", "xarray"}
    assert heavy & set(result.stdout.split()) == set()


@pytest.mark.parametrize("name", tagfile.__all__)
def test_public_name_is_there(name):
    assert getattr(tagfile, name) is not None


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tagfile.nothing  # noqa: B018
