"""What every tag file being written looks like to the converter."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from analysis.tagfile.events import Events


class TagSink(ABC):
    """A tag file that takes events in the units of its acquisition; use it in ``with``."""

    @abstractmethod
    def write(self, events: Events) -> None:
        """Append events.

        Raises
        ------
        EventError
            If the format cannot hold one of them.
        """

    @abstractmethod
    def close(self) -> None:
        """Complete the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
