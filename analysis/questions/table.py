"""Counts as a table: pandas, and a Parquet file that holds everything and states its units."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.counts import Counts

if TYPE_CHECKING:
    import pandas as pd

UNITS = {"together": "trials", "repeated": "clicks", "trials": "trials"}
"""Units of the columns; `repeated` is given where a cell stands with itself."""

_KEY = b"labkit.counts"


def _columns(counts: Counts) -> dict[str, list[object]]:
    cells = counts.gates.cells
    singles, repeated = counts.singles.ravel(), counts.repeated.ravel()
    rows = [
        (
            *cells[i], *cells[j],
            int(singles[i] if i == j else counts.pairs[i, j]),
            int(repeated[i]) if i == j else None,
            counts.trials.number,
        )
        for i in range(len(cells)) for j in range(i, len(cells))
    ]  # fmt: skip
    names = ("gate", "detector", "other_gate", "other_detector", *UNITS)
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def to_pandas(counts: Counts) -> "pd.DataFrame":
    """Return one row for each cell and each pair of cells; units stand in ``attrs["units"]``.

    Columns: gate, detector, other_gate, other_detector; ``together``, the trials with clicks in
    both (of a cell with itself its singles); ``repeated``; ``trials``, all that were measured.
    """
    import pandas as pd

    frame = pd.DataFrame(_columns(counts)).astype({"repeated": "Int64"})
    frame.attrs["units"] = dict(UNITS)
    return frame


def write_parquet(counts: Counts, path: str | Path) -> None:
    """Write the table of `to_pandas` as Parquet, each field with its ``unit``.

    The file's metadata hold the whole of the counts as JSON, from which `read_parquet` makes them
    again.
    """
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table(_columns(counts))
    fields = [
        field.with_metadata({"unit": UNITS[field.name]}) if field.name in UNITS else field
        for field in table.schema
    ]
    whole = {_KEY: json.dumps(counts.to_dict()).encode()}
    parquet.write_table(table.cast(pa.schema(fields, metadata=whole)), path)


def read_parquet(path: str | Path) -> Counts:
    """Read counts that `write_parquet` wrote.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no Parquet file, or holds no counts.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        metadata = parquet.read_schema(path).metadata or {}
    except pa.ArrowInvalid as error:
        message = f"{path}: must be a Parquet file, but is not: {error}"
        raise ValueError(message) from None
    if _KEY not in metadata:
        message = f"{path}: must be written by write_parquet, but its metadata hold no counts"
        raise ValueError(message)
    return Counts.from_dict(json.loads(metadata[_KEY]))
