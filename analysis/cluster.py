"""Processes that share work: a dask.distributed scheduler at an address, or local ones.

dask.distributed moves tasks, retries those of lost workers and tells who is there; nothing of that
is ours. It is an optional extra (``cluster``).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from distributed import Client

CONNECT_WITHIN: Final = 10.0
"""How long a scheduler may take to answer, s."""
RETRIES: Final = 3
"""How often a task is tried again whose worker was lost or whose file could not be read."""


class ClusterError(RuntimeError):
    """The cluster cannot do the work: unreachable, other software, no workers left."""


@contextmanager
def cluster(scheduler: str | None = None, workers: int | None = None) -> "Iterator[Client]":
    """Connect to a scheduler, or start local worker processes for as long as the block lasts.

    Parameters
    ----------
    scheduler : str, optional
        Address, ``tcp://host:8786``; see ``dask scheduler`` and ``dask worker``.
    workers : int, optional
        Number of local processes instead.

    Raises
    ------
    ClusterError
        If nobody answers at the address, or a worker has another labkit.
    ValueError
        If neither or both are given.
    ImportError
        If dask.distributed is not installed.
    """
    if (scheduler is None) == (workers is None):
        message = "give either the address of a scheduler or a number of local workers"
        raise ValueError(message)
    if workers is not None and workers < 1:
        message = f"`workers` must be at least 1, but is {workers}"
        raise ValueError(message)
    distributed = _distributed()
    if scheduler is None:
        with (
            distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0"
            ) as local,
            distributed.Client(local) as client,
        ):
            yield client
        return
    try:
        client = distributed.Client(scheduler, timeout=CONNECT_WITHIN)
    except (OSError, ValueError) as error:
        message = (
            f"no scheduler answers at {scheduler} within {CONNECT_WITHIN:g} s ({error}); start one "
            "with `dask scheduler`, workers with `dask worker ADDRESS`"
        )
        raise ClusterError(message) from error
    with client:
        refuse_other_versions(client, scheduler)
        yield client


def refuse_other_versions(client: "Client", scheduler: str) -> None:
    """Refuse workers that would count with another labkit.

    Raises
    ------
    ClusterError
        Naming the worker and both versions; also if there is no worker.
    """
    mine = own_version()
    found: dict[str, Any] = client.run(own_version, on_error="return")
    if not found:
        message = f"the scheduler at {scheduler} has no workers; start some with `dask worker`"
        raise ClusterError(message)
    for worker, theirs in found.items():
        if theirs != mine:
            other = theirs if isinstance(theirs, str) else f"none ({theirs!r})"
            message = (
                f"worker {worker} must have labkit {mine}, as here, but has {other}; install the "
                "same version there"
            )
            raise ClusterError(message)


def own_version() -> str:
    """Return labkit's version in this process."""
    try:
        return version("labkit")
    except PackageNotFoundError:  # a source tree on the path, not installed
        from pathlib import Path

        return f"source tree {Path(__file__).parents[1].name}"


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        message = "this needs dask.distributed: pip install -e '.[cluster]' in a checkout of labkit"
        raise ImportError(message) from None
    return distributed
