"""Tags in a CSV file: ``# key: value`` lines, a line ``time_ps,channel``, then one tag per line."""

import re
import warnings
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.tagfile.encoded import (
    BLOCK_EVENTS,
    CHANNEL,
    TIME,
    Column,
    TableSink,
    TableSource,
    missing_columns,
)
from analysis.tagfile.picoseconds import Times
from analysis.tagfile.source import TagFileError, text_lines

_DELIMITERS = ",;\t"
_METADATA = re.compile(r"#\s*(?P<key>\w+)\s*:\s*(?P<value>.*?)\s*")


class CsvFile(TableSource):
    """A CSV file of tags, parted by commas, semicolons or tabs; further columns are left aside."""

    format = "csv"

    def read_metadata(self, path: Path) -> Mapping[str, str]:
        """Read the comment lines and find the columns."""
        metadata: dict[str, str] = {}
        for number, line in enumerate(text_lines(path), 1):
            match = _METADATA.fullmatch(line.rstrip("\r\n"))
            if match is not None:
                metadata[match["key"]] = match["value"]
            elif _is_data(line):
                self._head_lines = number
                self._delimiter = max(_DELIMITERS, key=line.count)
                self._columns = _find_columns(path, line, self._delimiter)
                return metadata
        raise missing_columns(path, [])

    def read_rows(self) -> Iterator[tuple[Column, Column]]:
        """Yield the columns, parsed some lines at a time."""
        number = self._head_lines
        stream = islice(text_lines(self.path), number, None)
        while lines := list(islice(stream, BLOCK_EVENTS)):
            rows = [line for line in lines if _is_data(line)]
            if rows:
                yield self._parse(lines, rows, number)
            number += len(lines)

    def row_name(self, row: int) -> str:
        """Name the line that holds an event."""
        lines = enumerate(text_lines(self.path), 1)
        data = (n for n, line in lines if n > self._head_lines and _is_data(line))
        return f"line {next(islice(data, row, None), row)}"

    def _parse(self, lines: list[str], rows: list[str], number: int) -> tuple[Column, Column]:
        try:
            with warnings.catch_warnings():
                # Older numpy reads "1.5" as 1 and only warns.
                warnings.simplefilter("error", DeprecationWarning)
                table = np.loadtxt(
                    rows,
                    dtype=np.int64,
                    delimiter=self._delimiter,
                    usecols=self._columns,
                    ndmin=2,
                    comments=None,
                )
        except (ValueError, DeprecationWarning):
            raise self._bad_line(lines, number) from None
        return table[:, 0], table[:, 1]

    def _bad_line(self, lines: list[str], number: int) -> TagFileError:
        for offset, line in enumerate(lines, 1):
            if not _is_data(line):
                continue
            fields = line.rstrip("\r\n").split(self._delimiter)
            try:
                time_ps, channel = (fields[column] for column in self._columns)
                np.array([int(time_ps), int(channel)], dtype=np.int64)
            except (IndexError, ValueError, OverflowError):
                message = (
                    f"{self.path}: line {number + offset}: a row must hold whole numbers "
                    f"{TIME!r} and {CHANNEL!r}, but is {line.strip()[:80]!r}; correct or remove it"
                )
                return TagFileError(message)
        message = f"{self.path}: lines {number + 1} to {number + len(lines)} cannot be read as rows"
        return TagFileError(message)


class CsvSink(TableSink):
    """A CSV file being written."""

    def begin(self) -> None:
        """Write metadata and head."""
        self._stream = self.path.open("w", encoding="utf-8", newline="\n")
        for key, value in self.acquisition.to_text().items():
            self._stream.write(f"# {key}: {value}\n")
        self._stream.write(f"{TIME},{CHANNEL}\n")

    def write_rows(self, times_ps: Times, channel: NDArray[np.uint8]) -> None:
        """Append one line per tag."""
        rows = zip(times_ps.tolist(), channel.tolist(), strict=True)
        self._stream.writelines(f"{time},{number}\n" for time, number in rows)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def _is_data(line: str) -> bool:
    return not line.startswith("#") and not line.isspace()


def _find_columns(path: Path, line: str, delimiter: str) -> tuple[int, int]:
    names = [name.strip().strip('"') for name in line.rstrip("\r\n").split(delimiter)]
    if TIME not in names or CHANNEL not in names:
        raise missing_columns(path, names)
    return names.index(TIME), names.index(CHANNEL)
