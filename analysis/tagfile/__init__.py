"""Tag files of every supported format, as streams of 32-bit records with one layout table.

`open_tags` opens any of them; `convert` turns one into another; `summarise` counts what is there.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.tagfile.codec import Decoder, Encoder, encode
    from analysis.tagfile.conversion import convert
    from analysis.tagfile.csv_table import CsvFile
    from analysis.tagfile.events import Events
    from analysis.tagfile.formats import FORMATS, open_tags
    from analysis.tagfile.header import PtuHeader, read_header, write_header
    from analysis.tagfile.layouts import (
        GENERIC_T2,
        GENERIC_T3,
        LAYOUTS,
        MARKER,
        SYNC,
        TIMEHARP_260N_T2,
        TIMEHARP_260N_T3,
        RecordLayout,
        find_layout,
    )
    from analysis.tagfile.npz_table import NpzFile
    from analysis.tagfile.parquet_table import ParquetFile
    from analysis.tagfile.photon_hdf5 import PhotonHdf5File
    from analysis.tagfile.ptu import PtuFile
    from analysis.tagfile.ptu_writer import PtuWriter, recover, write_ptu
    from analysis.tagfile.source import BLOCK_RECORDS, FileWarning, TagFileError, TagSource
    from analysis.tagfile.summary import TagSummary, summarise

__all__ = [
    "BLOCK_RECORDS",
    "FORMATS",
    "GENERIC_T2",
    "GENERIC_T3",
    "LAYOUTS",
    "MARKER",
    "SYNC",
    "TIMEHARP_260N_T2",
    "TIMEHARP_260N_T3",
    "CsvFile",
    "Decoder",
    "Encoder",
    "Events",
    "FileWarning",
    "NpzFile",
    "ParquetFile",
    "PhotonHdf5File",
    "PtuFile",
    "PtuHeader",
    "PtuWriter",
    "RecordLayout",
    "TagFileError",
    "TagSource",
    "TagSummary",
    "convert",
    "encode",
    "find_layout",
    "open_tags",
    "read_header",
    "recover",
    "summarise",
    "write_header",
    "write_ptu",
]

_MODULES = {
    "codec": ("Decoder", "Encoder", "encode"),
    "conversion": ("convert",),
    "csv_table": ("CsvFile",),
    "events": ("Events",),
    "formats": ("FORMATS", "open_tags"),
    "header": ("PtuHeader", "read_header", "write_header"),
    "layouts": (
        "GENERIC_T2",
        "GENERIC_T3",
        "LAYOUTS",
        "MARKER",
        "SYNC",
        "TIMEHARP_260N_T2",
        "TIMEHARP_260N_T3",
        "RecordLayout",
        "find_layout",
    ),
    "npz_table": ("NpzFile",),
    "parquet_table": ("ParquetFile",),
    "photon_hdf5": ("PhotonHdf5File",),
    "ptu": ("PtuFile",),
    "ptu_writer": ("PtuWriter", "recover", "write_ptu"),
    "source": ("BLOCK_RECORDS", "FileWarning", "TagFileError", "TagSource"),
    "summary": ("TagSummary", "summarise"),
}
"""Where the public names are; a module is loaded when one of its names is first used."""

_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
