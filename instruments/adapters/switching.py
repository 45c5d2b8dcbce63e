"""A QCoDeS parameter that switches something, whatever its words for on and off are."""

from typing import Any

from instruments.bases.ramped_voltage import find_parameter

Word = bool | int | str


class OnOff:
    """A switch by a parameter, checked by reading back.

    Parameters
    ----------
    path : str
        Of the parameter, as ``gs200.output``.
    on, off : bool, int or str
        Its values.
    """

    def __init__(self, path: str, on: Word, off: Word) -> None:
        self.parameter: Any = find_parameter(path)
        self._words = {True: on, False: off}

    def is_on(self) -> bool:
        """Ask whether it is on.

        Raises
        ------
        RuntimeError
            If the parameter has another value than its two words.
        """
        found = self.parameter.get()
        for state, word in self._words.items():
            if found == word:
                return state
        message = (
            f"{self.parameter.full_name} must be {self._words[True]!r} (on) or "
            f"{self._words[False]!r} (off), but is {found!r}; correct these words in the station "
            "file"
        )
        raise RuntimeError(message)

    def put(self, *, on: bool) -> None:
        """Switch, and check by reading back."""
        self.parameter.set(self._words[on])
        if self.is_on() != on:
            message = (
                f"{self.parameter.full_name} did not switch {'on' if on else 'off'} when told to"
            )
            raise RuntimeError(message)
