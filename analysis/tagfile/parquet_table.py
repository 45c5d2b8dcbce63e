"""Tags in a Parquet file: columns ``time_ps`` and ``channel``, metadata as key-value pairs."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from analysis.tagfile.acquisition import METADATA
from analysis.tagfile.encoded import (
    BLOCK_EVENTS,
    CHANNEL,
    TIME,
    Column,
    TableSink,
    TableSource,
    missing_columns,
    wrong_type,
)
from analysis.tagfile.picoseconds import Times
from analysis.tagfile.source import TagFileError, file_size, named_damage


class ParquetFile(TableSource):
    """A Parquet file of tags; further columns are left aside."""

    format = "parquet"

    def read_metadata(self, path: Path) -> Mapping[str, str]:
        """Read the key-value pairs, and check that the columns are there."""
        file_size(path)
        with named_damage(path, "the Parquet metadata cannot be read"), _open(path) as file:
            names = file.schema_arrow.names
            if TIME not in names or CHANNEL not in names:
                raise missing_columns(path, names)
            self.time_type = _time_type(path, file.schema_arrow.field(TIME).type)
            pairs = file.schema_arrow.metadata or {}
        return {
            name: pairs[name.encode()].decode(errors="replace")
            for name in METADATA
            if name.encode() in pairs
        }

    def read_rows(self) -> Iterator[tuple[Column, Column]]:
        """Yield the columns batch by batch."""
        row = 0
        with _open(self.path) as file:
            with named_damage(self.path, "rows cannot be read"):
                batches = file.iter_batches(BLOCK_EVENTS, columns=[TIME, CHANNEL])
            while True:
                with named_damage(self.path, f"rows from {row} cannot be read"):
                    batch = next(batches, None)
                    if batch is None:
                        return
                    columns = self._column(batch, TIME, row), self._column(batch, CHANNEL, row)
                yield columns
                row += len(batch)

    def _column(self, batch: pa.RecordBatch, name: str, row: int) -> Column:
        column = batch.column(name)
        if column.null_count:
            index = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
            message = f"{self.path}: row {row + index}: {name!r} must not be empty"
            raise TagFileError(message)
        values: Column = column.to_numpy(zero_copy_only=False)
        return values


def _time_type(path: Path, found: pa.DataType) -> np.dtype[Any]:
    """Return the numpy type of the times, which must be integers or durations."""
    if not (pa.types.is_integer(found) or pa.types.is_duration(found)):
        raise wrong_type(path, TIME, found)
    numpy_type: np.dtype[Any] = np.dtype(found.to_pandas_dtype())
    return numpy_type


class ParquetSink(TableSink):
    """A Parquet file being written."""

    def begin(self) -> None:
        """Write metadata and head."""
        fields = [pa.field(TIME, pa.int64()), pa.field(CHANNEL, pa.uint8())]
        self._schema = pa.schema(fields, metadata=self.acquisition.to_text())
        self._writer = pq.ParquetWriter(self.path, self._schema)

    def write_rows(self, times_ps: Times, channel: NDArray[np.uint8]) -> None:
        """Append rows."""
        batch = pa.record_batch([pa.array(times_ps), pa.array(channel)], schema=self._schema)
        self._writer.write_batch(batch)

    def close(self) -> None:
        """Complete the file."""
        self._writer.close()


MAX_METADATA = 1 << 24
"""Bytes of the longest text, and entries of the longest list, that a file's footer may hold."""


def _open(path: Path) -> pq.ParquetFile:
    with named_damage(path, "this is no complete Parquet file"):
        return pq.ParquetFile(
            path,
            thrift_string_size_limit=MAX_METADATA,
            thrift_container_size_limit=MAX_METADATA,
        )
