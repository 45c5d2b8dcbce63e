"""Which file formats there are, how to tell them apart, and what opens them."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from analysis.tagfile.source import TagFileError, TagSource, open_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One file format.

    Attributes
    ----------
    name : str
        As in `TagSource.format`.
    suffixes : tuple of str
    magic : bytes
        First bytes of every such file; empty for text.
    module, reader : str
        Where the `TagSource` of the format is; loaded when needed.
    """

    name: str
    suffixes: tuple[str, ...]
    magic: bytes
    module: str
    reader: str

    def open(self, path: Path) -> TagSource:
        """Open a file of this format."""
        reader = getattr(import_module(self.module), self.reader)
        return cast("Callable[[Path], TagSource]", reader)(path)


FORMATS = (
    Format(
        name="ptu",
        suffixes=(".ptu",),
        magic=b"PQTTTR\0\0",
        module="analysis.tagfile.ptu",
        reader="PtuFile",
    ),
    Format(
        name="photon-hdf5",
        suffixes=(".h5", ".hdf5"),
        magic=b"\x89HDF\r\n\x1a\n",
        module="analysis.tagfile.photon_hdf5",
        reader="PhotonHdf5File",
    ),
    Format(
        name="csv",
        suffixes=(".csv",),
        magic=b"",
        module="analysis.tagfile.csv_table",
        reader="CsvFile",
    ),
    Format(
        name="npz",
        suffixes=(".npz",),
        magic=b"PK\x03\x04",
        module="analysis.tagfile.npz_table",
        reader="NpzFile",
    ),
    Format(
        name="parquet",
        suffixes=(".parquet",),
        magic=b"PAR1",
        module="analysis.tagfile.parquet_table",
        reader="ParquetFile",
    ),
)


def open_tags(path: str | Path) -> TagSource:
    """Open a tag file of any format, told by its first bytes, or else by its suffix.

    Raises
    ------
    TagFileError
        If the file is missing, unreadable, empty, damaged, or of no known format.
    """
    path = Path(path)
    with open_file(path) as stream:
        head = stream.read(16)
    if not head:
        message = f"{path}: the file is empty; nothing was recorded, or the copy failed"
        raise TagFileError(message)
    for candidate in FORMATS:
        if candidate.magic and head.startswith(candidate.magic):
            return candidate.open(path)
    return format_of_suffix(path).open(path)


def format_of_suffix(path: Path) -> Format:
    """Return the format that goes with a file name.

    Raises
    ------
    TagFileError
        If there is none; the message lists the formats that exist.
    """
    for candidate in FORMATS:
        if path.suffix.lower() in candidate.suffixes:
            return candidate
    known = ", ".join(f"{known.name} ({'/'.join(known.suffixes)})" for known in FORMATS)
    message = f"{path}: the format must be one of {known}, but this file is of none of them"
    raise TagFileError(message)
