"""What to say of an error, and how to clean up after one without hiding it."""

from collections.abc import Callable


def said(error: BaseException) -> str:
    """Return what an error says, without what QCoDeS appends to its arguments on the way up."""
    first = error.args[0] if error.args else ""
    return first if isinstance(first, str) and first else str(error)


def also(error: BaseException, action: Callable[[], object]) -> None:
    """Do what must be done after an error; what fails then is noted with the error."""
    try:
        action()
    except Exception as further:  # the first error is what the user must see
        error.add_note(f"then also: {type(further).__name__}: {said(further)}")
