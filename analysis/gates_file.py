"""The gates file: its values checked one by one."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from analysis.gates import Gate


def keys_of(
    plain: object, *, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, object]:
    """Return a mapping that has the required keys and no unknown ones."""
    if not isinstance(plain, Mapping):
        message = f"must be a mapping with keys {', '.join(required)}, but is {plain!r}"
        raise ValueError(message)  # one error type for one kind of bad file
    known = required + optional
    for key in plain:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
            message = f"key {key!r} is not known{hint}"
            raise ValueError(message)
    for key in required:
        if key not in plain:
            message = f"key {key!r} is missing"
            raise ValueError(message)
    return dict(plain)


def seconds_of(value: object, name: str) -> float:
    """Return a time in seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = f"`{name}` must be a number of seconds, but is {value!r}"
        raise ValueError(message)
    return float(value)


def detectors_of(value: object) -> dict[int, int]:
    """Return channels by detector number."""
    if not isinstance(value, Mapping):
        message = f"`detectors` must map detector number to channel, but is {value!r}"
        raise ValueError(message)
    detectors = {}
    for number, channel in value.items():
        if isinstance(number, str) and number.isdecimal():  # JSON keys are text
            number = int(number)
        if type(number) is not int or type(channel) is not int:
            message = f"`detectors` must map integers to integers, but has {number!r}: {channel!r}"
            raise ValueError(message)
        if number in detectors:
            message = f"detector {number} must have one channel, but `detectors` names it twice"
            raise ValueError(message)
        detectors[number] = channel
    return detectors


def gates_of(value: object) -> Iterator[Gate]:
    """Yield the gates of a mapping from name to start and stop."""
    if not isinstance(value, Mapping):
        message = f"`gates` must map gate names to start and stop, but is {value!r}"
        raise ValueError(message)
    for name, window in value.items():
        if not isinstance(name, str):  # YAML reads on, yes, 1 as other types
            message = f"gate name must be text (put it in quotes), but is {name!r}"
            raise ValueError(message)
        try:
            keys = keys_of(window, required=("start", "stop"))
        except ValueError as error:
            message = f"gate {name!r}: {error}"
            raise ValueError(message) from None
        yield Gate(
            name=name,
            start=seconds_of(keys["start"], f"gates.{name}.start"),
            stop=seconds_of(keys["stop"], f"gates.{name}.stop"),
        )
