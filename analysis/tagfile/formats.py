"""Which file formats there are, how to tell them apart, and what reads and writes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import cast

from analysis.plugins import Table
from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.encoded import TagSink
from analysis.tagfile.source import TagFileError, TagSource, open_file


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One file format.

    Attributes
    ----------
    name : str
        As in `TagSource.format`.
    suffixes : tuple of str
        In lower case, with the dot.
    magic : bytes
        First bytes of every such file; empty for text.
    reader : str
        Where its `TagSource` is, as ``"package.module:name"``; loaded when needed.
    writer : str
        Where its `TagSink` is; empty for a format that is only read.
    """

    name: str
    suffixes: tuple[str, ...]
    magic: bytes
    reader: str
    writer: str = ""

    def open(self, path: Path) -> TagSource:
        """Open a file of this format."""
        return cast("Callable[[Path], TagSource]", resolve_name(self.reader))(path)

    def sink(
        self,
        path: Path,
        acquisition: Acquisition,
        *,
        counts: Mapping[int, int],
        origin: TagSource | None = None,
        round_times: bool = False,
    ) -> TagSink:
        """Begin a file of this format; see `TagSink`.

        Raises
        ------
        TagFileError
            If labkit does not write this format.
        """
        if not self.writer:
            message = f"{path}: files of format {self.name} can be read, but not written"
            raise TagFileError(message)
        writer = cast("type[TagSink]", resolve_name(self.writer))
        return writer(path, acquisition, counts=counts, origin=origin, round_times=round_times)


_OWN = (
    Format(
        name="ptu",
        suffixes=(".ptu",),
        magic=b"PQTTTR\0\0",
        reader="analysis.tagfile.ptu:PtuFile",
        writer="analysis.tagfile.ptu_sink:PtuSink",
    ),
    Format(
        name="photon-hdf5",
        suffixes=(".h5", ".hdf5"),
        magic=b"\x89HDF\r\n\x1a\n",
        reader="analysis.tagfile.photon_hdf5:PhotonHdf5File",
        writer="analysis.tagfile.photon_hdf5:PhotonHdf5Sink",
    ),
    Format(
        name="csv",
        suffixes=(".csv",),
        magic=b"",
        reader="analysis.tagfile.csv_table:CsvFile",
        writer="analysis.tagfile.csv_table:CsvSink",
    ),
    Format(
        name="npz",
        suffixes=(".npz",),
        magic=b"PK\x03\x04",
        reader="analysis.tagfile.npz_table:NpzFile",
        writer="analysis.tagfile.npz_table:NpzSink",
    ),
    Format(
        name="parquet",
        suffixes=(".parquet",),
        magic=b"PAR1",
        reader="analysis.tagfile.parquet_table:ParquetFile",
        writer="analysis.tagfile.parquet_table:ParquetSink",
    ),
)

FORMATS = Table("labkit.formats", Format, {entry.name: entry for entry in _OWN})
"""All formats by name: our own, then those of plug-ins."""


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
    for candidate in FORMATS.values():
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
    for candidate in FORMATS.values():
        if path.suffix.lower() in candidate.suffixes:
            return candidate
    known = ", ".join(f"{known.name} ({'/'.join(known.suffixes)})" for known in FORMATS.values())
    message = f"{path}: the format must be one of {known}, but this file is of none of them"
    raise TagFileError(message)
