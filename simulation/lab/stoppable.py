"""What runs in the background until it is stopped."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Stoppable(ABC):
    """Base of what a ``with`` statement stops at its end."""

    @abstractmethod
    def stop(self) -> None:
        """Close everything and wait for its threads to end; idempotent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
