"""Processes that share work: a dask.distributed scheduler at an address, or local ones.

dask.distributed moves tasks, retries those of lost workers and tells who is there; nothing of that
is ours. It is an optional extra (``cluster``).
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import uuid4

from analysis.tagfile.source import LIBRARY_ERRORS

if TYPE_CHECKING:
    from distributed import Client, Future

Item = TypeVar("Item")
Result = TypeVar("Result")

Mapped = Callable[[Callable[[Item], Result], Iterable[Item]], Iterator[Result]]
"""What applies a function to items and yields the results in order: `map` here, `on_workers`."""

CONNECT_WITHIN: Final = 10.0
"""How long a scheduler may take to answer, s."""
RETRIES: Final = 3
"""How often a task is tried again whose worker was lost or whose file could not be read."""
NO_WORKERS_FOR: Final = 60.0
"""How long a cluster may be without workers before its work is given up, s."""
LOOK_EVERY: Final = 1.0
"""How often one looks whether there are workers, s."""
_NOISY: Final = ("distributed.client", "distributed.scheduler", "distributed.nanny")
"""dask's own lines about what `ClusterError` says."""


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
        If no scheduler answers at the address, or a worker has another labkit.
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
    with ExitStack() as opened:
        opened.enter_context(_quiet())
        if scheduler is None:
            yield opened.enter_context(distributed.Client(opened.enter_context(_local(workers))))
            return
        _check_scheduler(scheduler)
        client = opened.enter_context(distributed.Client(scheduler, timeout=CONNECT_WITHIN))
        refuse_other_versions(client, scheduler)
        yield client


def _local(workers: int | None) -> Any:
    """Start local worker processes."""
    from distributed import LocalCluster

    try:
        with _interrupts_kept_from_children():
            return LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=":0",
                silence_logs=logging.CRITICAL,
            )  # fmt: skip
    except (OSError, RuntimeError) as error:
        message = f"{workers} worker processes could not be started ({error}); is memory short?"
        raise ClusterError(message) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep dask from logging what is raised as a `ClusterError`."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _interrupts_kept_from_children() -> Iterator[None]:
    """Let Ctrl-C reach this process only, which ends its workers in order.

    A terminal sends it to the whole group. Children inherit which signals are blocked, also those
    that are started later by a thread from inside. Windows has neither.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # its start, inside, would let the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _check_scheduler(address: str) -> None:
    """Ask who is there before a client is made, which would wait for ever for one who is mute."""
    try:
        with ThreadPoolExecutor(1) as thread:  # which has no event loop yet
            kind = thread.submit(lambda: asyncio.run(_kind(address))).result()
    except LIBRARY_ERRORS as error:
        said = str(error) or type(error).__name__
        if isinstance(error, TimeoutError):
            said = f"no answer within {CONNECT_WITHIN:g} s"
        message = (
            f"no dask scheduler answers at {address or repr(address)} ({said}); start one with "
            "`dask scheduler`, workers with `dask worker ADDRESS`, and give its address as "
            "tcp://host:8786"
        )
        raise ClusterError(message) from error
    if kind != "Scheduler":
        message = f"{address} must be the address of a scheduler, but a {kind.lower()} answers"
        raise ClusterError(message)


async def _kind(address: str) -> str:
    from distributed.core import rpc

    async with asyncio.timeout(CONNECT_WITHIN), rpc(address) as there:  # type: ignore[no-untyped-call]
        found = await there.identity()
    return str(found["type"])


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
            raise ClusterError(_other_version(worker, mine, other))


def _other_version(worker: str, mine: str, other: str) -> str:
    return (
        f"worker {worker} must have labkit {mine}, as here, but has {other}; install the same "
        "version there"
    )


@cache
def own_version() -> str:
    """Return labkit's version in this process."""
    try:
        return version("labkit")
    except PackageNotFoundError:  # a source tree on the path, not installed
        from pathlib import Path

        return f"source tree {Path(__file__).parents[1].name}"


def hands(client: "Client") -> int:
    """Return how many workers there are now, at least 1."""
    return max(1, len(client.nthreads()))  # type: ignore[no-untyped-call]


def submit(client: "Client", function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
    """Submit one task, which is tried again if its worker is lost.

    Arguments may be futures, or lists of them. A worker that came later than the others and has
    another labkit refuses it.
    """
    name = getattr(getattr(function, "func", function), "__name__", "task")  # partial has none
    key = f"{name.strip('_')}-{uuid4()}"
    task = _in_same_version
    return client.submit(task, own_version(), function, *arguments, key=key, retries=RETRIES)


def _in_same_version(wanted: str, function: Callable[..., Result], *arguments: Any) -> Result:
    if own_version() != wanted:
        from distributed import get_worker

        raise ClusterError(_other_version(get_worker().address, wanted, own_version()))
    return function(*arguments)


def as_done(client: "Client", futures: "Sequence[Future[Any]]") -> Iterator[tuple[int, Any]]:
    """Yield (place, result) of tasks as they are done; whatever ends this cancels the others.

    What is done too is yielded before an error of a task is raised.

    Raises
    ------
    ClusterError
        If the scheduler is lost, all workers for longer than a minute, or a task kills its workers
        again and again.
    Exception
        Whatever a task raised.
    """
    places = {future.key: place for place, future in enumerate(futures)}
    done: SimpleQueue[Future[Any]] = SimpleQueue()
    for future in futures:
        future.add_done_callback(done.put)  # type: ignore[no-untyped-call]
    patience = _Patience(client)
    left = {future.key: future for future in futures}
    try:
        while left:
            future = left.pop(patience.next(done).key)
            if future.status != "finished":
                # told of later than they are done
                for other in [one for one in left.values() if one.status == "finished"]:
                    yield places[other.key], patience.result(other)
                _raise(client, future)
            yield places[future.key], patience.result(future)
    finally:
        if client.status == "running":
            client.cancel(futures)  # type: ignore[no-untyped-call]


def on_workers(
    client: "Client", function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """Apply a function to items on the workers; yield the results in order, as `map`.

    Raises
    ------
    ClusterError, Exception
        As `as_done`.
    """
    futures = [submit(client, function, item) for item in items]
    waiting: dict[int, Result] = {}
    due = 0
    for place, result in as_done(client, futures):
        waiting[place] = result
        while due in waiting:
            yield waiting.pop(due)
            due += 1


class _Patience:
    """Waits for tasks as long as there are workers, or were a short time ago."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._seen = monotonic()

    def next(self, done: "SimpleQueue[Future[Any]]") -> "Future[Any]":
        """Return the task that is done next."""
        while True:
            try:
                return done.get(timeout=LOOK_EVERY)
            except Empty:
                self._look()

    def result(self, future: "Future[Any]") -> Any:
        """Return the result of a task, which is done again if its worker was lost with it."""
        while True:
            try:
                return future.result(timeout=LOOK_EVERY)
            except TimeoutError:
                if future.status == "error":
                    raise
                self._look()
            except CancelledError:
                _raise(self._client, future)

    def _look(self) -> None:
        """Give up if there have been no workers for too long."""
        address = _address(self._client)
        try:
            found = self._client.nthreads()  # type: ignore[no-untyped-call]
        except OSError as error:
            message = f"the scheduler at {address} was lost ({error})"
            raise ClusterError(message) from error
        if found:
            self._seen = monotonic()
        elif monotonic() - self._seen > NO_WORKERS_FOR:
            message = (
                f"the scheduler at {address} has had no workers for {NO_WORKERS_FOR:g} s; start "
                "some with `dask worker` and see why they ended"
            )
            raise ClusterError(message)


def _address(client: "Client") -> str:
    return "" if client.scheduler is None else str(client.scheduler.address)


def _raise(client: "Client", failed: "Future[Any]") -> None:
    """Raise what a task raised, or what happened to it."""
    from distributed import KilledWorker

    try:
        failed.result()
    except KilledWorker as error:
        message = (
            f"workers died again and again at one task ({error}); too little memory there, or a "
            "file that kills its reader?"
        )
        raise ClusterError(message) from error
    except CancelledError as error:
        reason = getattr(error, "reason", "cancelled")
        message = f"the scheduler at {_address(client)} was lost ({reason})"
        raise ClusterError(message) from error
    except ImportError as error:
        message = f"a worker lacks what this needs ({error}); install labkit {own_version()} there"
        raise ClusterError(message) from error


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        message = "this needs dask.distributed: pip install -e '.[cluster]' in a checkout of labkit"
        raise ImportError(message) from None
    return distributed
