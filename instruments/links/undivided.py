"""What no signal may divide: an exchange with an instrument, or a simulated one's work on it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import get_ident, main_thread
from types import TracebackType

_MAIN = main_thread().ident


class _Block:
    """A block at whose end the signals that came within it are heard; may be entered again."""

    def __init__(self) -> None:
        self.depth = self.heeding = 0
        self.put_off: list[Callable[[], None]] = []

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.depth -= 1
        if self.put_off and not self.depth:
            put_off, self.put_off = self.put_off, []
            put_off[0]()


_block = _Block()


@contextmanager
def _impatient() -> Iterator[None]:
    """As within the block, where Ctrl-C is handled by somebody who does not ask `put_off`."""
    from qcodes.utils import DelayedKeyboardInterrupt

    with DelayedKeyboardInterrupt(), _block:
        yield


def undivided() -> AbstractContextManager[None]:
    """Let a stop that comes within the block be heard at its end; many thousand times a run."""
    if get_ident() != _MAIN:
        return nullcontext()
    return _block if _block.heeding or _block.depth else _impatient()


def put_off(hear: Callable[[], None]) -> bool:
    """Tell a signal's handler whether what it does now is to wait; it is called in time then."""
    if _block.depth:
        _block.put_off.append(hear)
    return bool(_block.depth)


@contextmanager
def heeding() -> Iterator[None]:
    """Within the block, Ctrl-C is handled by who asks `put_off`: nothing else need hold it up."""
    if get_ident() != _MAIN:
        yield
        return
    _block.heeding += 1
    try:
        yield
    finally:
        _block.heeding -= 1
