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
        First bytes of every such file; empty where there are none.
    reader : str
        Where its `TagSource` is, as ``"package.module:name"``; loaded when needed.
    writer : str
        Where its `TagSink` is; empty for a format that is only read.
    """

    name: str
    suffixes: tuple[str, ...]
    magic: bytes = b""
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
    Format(
        name="hydraharp",
        suffixes=(".ht2", ".ht3"),
        magic=b"HydraHarp\0",
        reader="analysis.tagfile.old_picoquant:OldPicoQuantFile",
    ),
    Format(
        name="picoharp",
        suffixes=(".pt2", ".pt3"),
        magic=b"PicoHarp 300\0",
        reader="analysis.tagfile.old_picoquant:OldPicoQuantFile",
    ),
    Format(
        name="timeharp200",
        suffixes=(".t3r",),
        magic=b"TimeHarp 200\0",
        reader="analysis.tagfile.old_picoquant:TimeHarp200File",
    ),
    Format(
        name="becker-hickl",
        suffixes=(".spc",),
        reader="analysis.tagfile.becker_hickl:SpcFile",
    ),
    Format(
        name="swabian-dump",
        suffixes=(".dump",),
        reader="analysis.tagfile.swabian:SwabianDump",
    ),
    Format(
        name="ttbin",
        suffixes=(".ttbin",),
        reader="analysis.tagfile.swabian:TtbinFile",
    ),
    Format(
        name="qutag",
        suffixes=(".qutag",),
        reader="analysis.tagfile.qutag:QutagFile",
    ),
    Format(
        name="qutag-text",
        suffixes=(".txt",),
        reader="analysis.tagfile.qutag:QutagText",
    ),
)

UNREADABLE = {
    b"PQHISTO": "a PicoQuant histogram (.phu), which holds no time tags; record in T2 or T3",
    b"version https://git-lfs": "a Git LFS pointer, not the recording; fetch it (git lfs pull)",
    b"\x1f\x8b": "compressed with gzip; unpack it (gunzip)",
    b"BZh": "compressed with bzip2; unpack it (bunzip2)",
    b"\xfd7zXZ": "compressed with xz; unpack it (unxz)",
    b"(\xb5/\xfd": "compressed with zstd; unpack it (unzstd)",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it",
    b"\x93NUMPY": "a single numpy array; save times and channels with "
    "numpy.savez(file, time_ps=…, channel=…)",
    b"MATLAB 5.0": "a MATLAB file; load it (scipy.io.loadmat) and save times and channels with "
    "numpy.savez(file, time_ps=…, channel=…)",
    b"ARROW1": "an Arrow file; write it as Parquet (pyarrow.parquet.write_table)",
    b"SQLite format 3": "a database; export a table with the columns time_ps and channel as CSV",
    b"root": "a ROOT file; export a table with the columns time_ps and channel (uproot)",
    b"CDF": "a netCDF 3 file, which holds no tags that labkit knows",
    b"<!DOCTYPE": "a web page: the download went wrong",
    b"<html": "a web page: the download went wrong",
}
"""First bytes of files that hold no tags labkit can read: what they are and what to do."""

FORMATS = Table("labkit.formats", Format, {entry.name: entry for entry in _OWN})
"""All formats by name: our own, then those of plug-ins."""


def open_tags(path: str | Path, *, as_type: str | None = None) -> TagSource:
    """Open a tag file of any format, told by its first bytes, or else by its suffix.

    Parameters
    ----------
    path : path
    as_type : str, optional
        What to read the file as, whatever it says: a format's name, or the record type of a PTU
        file's records such as ``"0x00010305"``.

    Raises
    ------
    TagFileError
        If the file is missing, unreadable, empty, damaged, or of no known format.
    ValueError
        If `as_type` is neither a format nor a number.
    """
    path = Path(path)
    with open_file(path) as stream:
        head = stream.read(32)
    if not head:
        message = f"{path}: the file is empty; nothing was recorded, or the copy failed"
        raise TagFileError(message)
    if as_type is not None:
        return _open_as(path, as_type)
    for candidate in FORMATS.values():
        if candidate.magic and head.startswith(candidate.magic):
            return candidate.open(path)
    for magic, what in UNREADABLE.items():
        if head.startswith(magic):
            message = f"{path}: must be a tag file, but is {what}"
            raise TagFileError(message)
    return format_of_suffix(path).open(path)


def _open_as(path: Path, as_type: str) -> TagSource:
    if as_type in FORMATS:
        return FORMATS[as_type].open(path)
    try:
        record_type = int(as_type, 0)
    except ValueError:
        message = (
            f"a file can be read as {', '.join(FORMATS)}, or as a PTU record type such as "
            f"0x00010305, but not as {as_type!r}"
        )
        raise ValueError(message) from None
    from analysis.tagfile.ptu import PtuFile

    return PtuFile(path, record_type=record_type)


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
    message = (
        f"{path}: the format must be one of {known}, but this file is of none of them; if it is "
        "one under another name, say which (--as)"
    )
    raise TagFileError(message)
