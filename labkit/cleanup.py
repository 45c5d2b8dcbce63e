"""Clean up after an error without hiding it."""

from collections.abc import Callable


def also(error: BaseException, action: Callable[[], object]) -> None:
    """Do what must be done after an error; what fails then is noted with the error."""
    try:
        action()
    except Exception as further:  # the first error is what the user must see
        error.add_note(f"then also: {type(further).__name__}: {further}")
