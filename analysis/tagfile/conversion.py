"""Convert tag files from one format to another, block by block."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.codec import Decoder
from analysis.tagfile.distinct import check_distinct
from analysis.tagfile.encoded import TagSink
from analysis.tagfile.events import EventError
from analysis.tagfile.formats import format_of_suffix, open_tags
from analysis.tagfile.merged import MergedSource
from analysis.tagfile.picoseconds import InexactTimeError
from analysis.tagfile.source import TagSource
from analysis.tagfile.summary import TagSummary, summarise

Progress = Callable[[int, int], None]
"""Told how many records are done, of how many; every record is done twice."""


def convert(
    src: str | Path,
    dst: str | Path,
    *,
    overwrite: bool = False,
    round_times: bool = False,
    drop_unknown: bool = False,
    as_type: str | None = None,
    progress: Progress | None = None,
) -> TagSummary:
    """Convert a tag file; the target's format follows from its suffix.

    The target appears when it is complete: until then it has the suffix ``.part``, which is
    removed if anything goes wrong.

    Parameters
    ----------
    src : path
        Any format that `open_tags` reads.
    dst : path
        ``.ptu`` (T2 or T3, of the device and in the units of the source), ``.h5``, ``.hdf5``,
        ``.csv``, ``.npz`` or ``.parquet``.
    overwrite : bool, optional
        Replace an existing target.
    round_times : bool, optional
        Round times that the target cannot hold exactly.
    drop_unknown : bool, optional
        Leave out records with a reserved code, which only the source's format holds.
    as_type : str, optional
        What to read the source as; see `open_tags`.
    progress : callable, optional
        Called after every block with records done and records to do.

    Returns
    -------
    TagSummary
        What the source holds.

    Raises
    ------
    TagFileError
        If the source cannot be read, or the target's format is not known.
    FileExistsError
        If the target exists and `overwrite` is False.
    FileNotFoundError
        If the target's folder does not exist.
    ValueError
        If the target's format cannot hold a tag or its time; the message names the event.
    """
    src, dst = Path(src), Path(dst)
    format_of_suffix(dst)
    source = open_tags(src, as_type=as_type)
    _check_target([src], dst, overwrite=overwrite)
    return _write(
        source, dst, round_times=round_times, drop_unknown=drop_unknown, progress=progress
    )


def merge(
    paths: Sequence[str | Path],
    dst: str | Path,
    *,
    overwrite: bool = False,
    round_times: bool = False,
    drop_unknown: bool = False,
    progress: Progress | None = None,
) -> TagSummary:
    """Write several recordings into one file, one after the other; see `MergedSource`.

    Parameters
    ----------
    paths : sequence of path
        Two or more, in order; each another recording.
    dst, overwrite, round_times, drop_unknown, progress
        As of `convert`.

    Returns
    -------
    TagSummary
        What they hold together.

    Raises
    ------
    TagFileError, FileExistsError, FileNotFoundError
        As `convert`.
    ValueError
        As `convert`, and if two are the same recording or were taken with other settings.
    """
    files, dst = [Path(path) for path in paths], Path(dst)
    if len(files) < 2:
        message = f"two recordings or more are merged, but got {len(files)}"
        raise ValueError(message)
    format_of_suffix(dst)
    sources = [open_tags(path) for path in files]
    check_distinct(sources)
    _check_target(files, dst, overwrite=overwrite)
    merged = MergedSource(sources)
    _check_known(files[0], merged.unknown_records, dst, drop_unknown=drop_unknown)
    return _write(
        merged, dst, round_times=round_times, drop_unknown=drop_unknown, progress=progress
    )


def _write(
    source: TagSource,
    dst: Path,
    *,
    round_times: bool,
    drop_unknown: bool,
    progress: Progress | None,
) -> TagSummary:
    target = format_of_suffix(dst)
    summary = _summarise(source, progress)
    keeps_all = target.name == source.format == "ptu" and not drop_unknown
    _check_known(source.path, summary.unknown_records, dst, drop_unknown=drop_unknown or keeps_all)
    acquisition = Acquisition.of(source, end_time=summary.end_time)
    with (
        _partial(dst) as path,
        target.sink(
            path, acquisition, counts=summary.counts, origin=source, round_times=round_times
        ) as sink,
    ):
        raw = keeps_all and sink.takes_records_of(source)
        _copy(source, sink, summary.records, progress, raw=raw)
    return summary


def _check_known(src: Path, unknown: int, dst: Path, *, drop_unknown: bool) -> None:
    if unknown and not drop_unknown:
        message = (
            f"{src}: {unknown} records have a reserved code, which {dst.name} will not hold; pass "
            "drop_unknown=True (--drop-unknown) to leave them out"
        )
        raise ValueError(message)


def _check_target(sources: list[Path], dst: Path, *, overwrite: bool) -> None:
    if not dst.parent.is_dir():
        message = f"{dst}: must lie in an existing folder, but there is no {dst.parent}; make it"
        raise FileNotFoundError(message)
    if not dst.exists():
        return
    if any(dst.samefile(source) for source in sources):
        message = f"{dst}: source and target must be two files, but are the same"
        raise ValueError(message)
    if not overwrite:
        message = (
            f"{dst} exists; choose another name, or pass overwrite=True (--overwrite) to replace it"
        )
        raise FileExistsError(message)


def _summarise(source: TagSource, progress: Progress | None) -> TagSummary:
    if progress is None or source.format != "ptu":
        return summarise(source)
    total = 2 * source.n_records
    return summarise(source, progress=lambda done: progress(done, total))


def _copy(
    source: TagSource, sink: TagSink, records: int, progress: Progress | None, *, raw: bool
) -> None:
    decoder = Decoder(source.layout)
    events_done = records_done = 0
    for block in source.blocks():
        events = decoder.decode(block)
        try:
            if raw:
                sink.write_records(block)
            else:
                sink.write(events)
        except EventError as error:
            inexact = isinstance(error, InexactTimeError)
            remedy = "; pass round_times=True (--round-times) to round it" if inexact else ""
            message = f"{source.path}: event {events_done + error.index}: {error.rule}{remedy}"
            raise ValueError(message) from None
        events_done += len(events)
        records_done += len(block)
        if progress is not None:
            progress(records + records_done, 2 * records)


@contextmanager
def _partial(path: Path) -> Iterator[Path]:
    """Give a path to write to, which becomes the real one if all goes well."""
    partial = path.with_name(path.name + ".part")
    partial.unlink(missing_ok=True)
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
