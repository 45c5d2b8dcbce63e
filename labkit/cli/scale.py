"""Options of commands that can share their work: other processes, and files that are elsewhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labkit.cli.output import progress_bar

if TYPE_CHECKING:
    from distributed import Client

    from analysis.cluster import Mapped

Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS", help="Share the work through this dask scheduler, tcp://host:8786."
    ),
]
Workers = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Share the work with so many processes here.")
]


@contextmanager
def shared(scheduler: str | None, workers: int | None) -> "Iterator[Client | None]":
    """Connect as the options say; None if they say nothing."""
    if scheduler is None and workers is None:
        yield None
        return
    from analysis.cluster import cluster

    with cluster(scheduler, workers) as client:
        yield client


def mapping(client: "Client | None") -> "Mapped[Any, Any]":
    """Return what applies a function to items: `map` here, or the workers of a cluster."""
    if client is None:
        return map
    from analysis.cluster import on_workers

    return partial(on_workers, client)


def fetched_file(place: str) -> Path:
    """Return the file of a path, or of an address that is fetched."""
    if "://" not in place:
        return Path(place)
    from analysis.tagfile.remote import fetched

    with progress_bar("fetching", "bytes") as progress:
        return fetched(place, progress=progress)


def local_files(places: Sequence[str]) -> list[Path]:
    """Return files for what was typed: paths, patterns such as ``runs/**/*.ptu``, addresses.

    A remote file (``https://``, ``s3://``, …) is fetched once and kept; it is fetched again when
    it has changed there.

    Raises
    ------
    FileNotFoundError
        If a pattern matches nothing.
    OSError
        If a remote file cannot be fetched.
    """
    found: list[Path] = []
    for place in places:
        if "://" in place:
            found.append(fetched_file(place))
        elif has_magic(place) and not Path(place).exists():
            pattern = Path(place)
            root = Path(pattern.anchor or ".")
            matches = sorted(root.glob(str(pattern.relative_to(pattern.anchor))))
            if not matches:
                message = f"{place}: no file matches"
                raise FileNotFoundError(message)
            found += matches
        else:
            found.append(Path(place))
    return found
