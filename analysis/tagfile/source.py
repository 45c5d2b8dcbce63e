"""What every tag file looks like to the counter: a header and a stream of 32-bit records."""

import struct
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import SEEK_END
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from analysis.tagfile.layouts import RecordLayout

Records = NDArray[np.uint32]

BLOCK_RECORDS = 1 << 18
"""Records per block: 1 MiB, reused, so that streaming stays in the processor's cache."""


class TagFileError(ValueError):
    """A tag file cannot be read; the message names file, byte or record, and what to do."""


def open_file(path: Path, *, buffering: int = -1) -> BinaryIO:
    """Open a file for reading bytes.

    Raises
    ------
    TagFileError
        If the file is missing, a folder, a pipe or device, or not readable.
    """
    try:
        if not (S_ISREG(mode := path.stat().st_mode) or S_ISDIR(mode)):
            message = (
                f"{path}: must be a file, but is a pipe or a device, which cannot be read twice; "
                "write it to a file first"
            )
            raise TagFileError(message)
        return path.open("rb", buffering)
    except FileNotFoundError:
        message = f"{path}: there is no such file; check the path (now in {Path.cwd()})"
        raise TagFileError(message) from None
    except IsADirectoryError:
        message = f"{path}: must be a file, but is a folder; name the tag file in it"
        raise TagFileError(message) from None
    except OSError as error:
        message = f"{path}: cannot be read: {error.strerror}; check its permissions and the disk"
        raise TagFileError(message) from error


_MOST_CHARACTERS = 1 << 16
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def text_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a text file: UTF-8, or UTF-16 if it begins with a byte order mark.

    Bytes that are no text become replacement characters.

    Raises
    ------
    TagFileError
        If the file cannot be read, or a line has more than 65,535 characters.
    """
    with open_file(path) as raw:
        encoding = _BYTE_ORDER_MARKS.get(raw.read(2), "utf-8-sig")
    with path.open(encoding=encoding, errors="replace") as stream:
        number = 0
        while line := stream.readline(_MOST_CHARACTERS):
            number += 1
            if len(line) == _MOST_CHARACTERS:
                message = f"{path}: line {number} is too long: this is no table of tags"
                raise TagFileError(message)
            yield line


LIBRARY_ERRORS: tuple[type[Exception], ...] = (
    ArithmeticError,
    AttributeError,
    BadZipFile,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What the libraries behind the formats raise for damaged files."""


@contextmanager
def named_damage(path: Path, what: str) -> Iterator[None]:
    """Turn a library's error about damaged bytes into ours.

    Raises
    ------
    TagFileError
        Naming the file, and `what` is wrong with it.
    """
    try:
        yield
    except TagFileError:
        raise
    except LIBRARY_ERRORS as error:
        said = " ".join(str(error).split()) or type(error).__name__
        message = f"{path}: {what}: {said[:300]}; copy the file again"
        raise TagFileError(message) from error


def file_size(path: Path) -> int:
    """Return a file's size in bytes.

    Raises
    ------
    TagFileError
        If the file is missing or cannot be examined.
    """
    with open_file(path, buffering=0) as stream:
        return stream.seek(0, SEEK_END)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileWarning:
    """Something in a file that a careful reader must know, though counting can go on.

    Attributes
    ----------
    code : str
        Stable short name such as ``truncated``, ``fifo_overrun``, ``record_count``.
    message : str
        One sentence with numbers: what was expected, what was found, what labkit does.
    """

    code: str
    message: str

    def __str__(self) -> str:
        return self.message


class TagSource(ABC):
    """An open tag file: records of one layout, readable in blocks.

    Attributes
    ----------
    path : Path
    format : str
        Name of the entry in `analysis.tagfile.formats.FORMATS`.
    layout : RecordLayout
        Layout of the records that `blocks` yields.
    header : Mapping
        The file's own header, typed values by tag name.
    resolution : float
        Seconds per T2 tick, or per T3 dtime bin.
    sync_period : float or None
        Nominal seconds per sync (T3), None if the file does not say.
    sync_rate : float or None
        Syncs per second from the header, None if the file does not say.
    measured_time : float or None
        Seconds the measurement lasted according to the header, None if the file does not say.
    sync_divider : int
        How many syncs came for each that the device measured; 1 if the file does not say.
    counts_syncs : bool
        False if T3 times count a clock of the device instead of syncs.
    warnings : tuple of FileWarning
        What the header or the file size gives reason to doubt.
    """

    path: Path
    format: str
    layout: RecordLayout
    header: Mapping[str, object]
    resolution: float
    sync_period: float | None
    sync_rate: float | None
    measured_time: float | None
    warnings: tuple[FileWarning, ...]
    sync_divider: int = 1
    counts_syncs: bool = True

    @property
    @abstractmethod
    def n_records(self) -> int:
        """Number of whole records in the file."""

    @abstractmethod
    def blocks(
        self, start: int = 0, stop: int | None = None, *, size: int = BLOCK_RECORDS
    ) -> Iterator[Records]:
        """Yield records ``start`` to ``stop`` in order, in arrays of at most `size`.

        The array is a view of a buffer that the next step overwrites: use it or copy it.

        Raises
        ------
        TagFileError
            If the file ends before ``stop`` (it shrank while being read).
        """

    @property
    def device(self) -> str:
        """What took the tags, as far as the file says."""
        return self.layout.device

    def reopened(self) -> "TagSource":
        """Return the source as it is now; formats that do not grow are the same as before."""
        return self
