"""Checks that every instrument can go through, and what a check is."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

Step = Literal["read", "set", "error", "timing", "hands", "bias", "light"]
"""In this order; ``bias`` and ``light`` only if allowed, ``hands`` only if somebody helps."""

QUERIES = 100
MANY_ERRORS = 64
"""More than any error queue is known to hold."""
LINK_BOUND = 30.0
"""Longest time until a driver tells that its link is gone, s."""
SLOW = 0.5
"""Largest median of a query, s: the driver's time-outs leave no room for more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    Attributes
    ----------
    name : str
    step : Step
    expected : str
        What manual and driver expect, in words.
    run : callable
        Takes the instrument; returns what was observed, or raises `CheckError` or any other error.
    hands : str
        What somebody must do at the instrument just before, for the step ``hands``.
    """

    name: str
    step: Step
    expected: str
    run: Callable[[Any], str]
    hands: str = ""


class CheckError(AssertionError):
    """The hardware did not do what the driver expects; the message is what it did."""


def demand(holds: bool, observed: str) -> str:
    """Return what was observed; raise CheckError if it is not as expected."""
    if not holds:
        raise CheckError(observed)
    return observed


def common_checks(instrument: Any) -> Iterator[Check]:
    """Give the checks of every instrument, by what it has."""
    yield Check(
        name="identity", step="read", expected="it tells who it is, as far as it can", run=_identity
    )
    yield Check(
        name="settings", step="read", expected="two readings of every setting agree",
        run=_settings,
    )  # fmt: skip
    if hasattr(instrument, "drain_errors"):
        yield Check(
            name="error", step="error",
            expected="a command that is not known is told once; then the error queue is empty",
            run=_scpi_error,
        )  # fmt: skip
        yield Check(
            name="queue", step="error",
            expected=f"of {MANY_ERRORS} errors all are told, or the last one is -350 (overflow)",
            run=_overflow,
        )  # fmt: skip
    if _query(instrument) is not None:
        yield Check(
            name="timing", step="timing",
            expected=f"median of {QUERIES} queries at most {SLOW:g} s", run=_timing,
        )  # fmt: skip
    if hasattr(instrument, "reconnect") and hasattr(instrument, "visa_handle"):
        yield Check(
            name="reconnect", step="timing", expected="the same instrument on a fresh link",
            run=_reconnect,
        )  # fmt: skip
        yield Check(
            name="unplug", step="hands",
            expected=f"the loss is told within {LINK_BOUND:g} s, the next question is answered",
            run=_unplugged, hands="pull the cable of the link and plug it in again",
        )  # fmt: skip


def set_and_read_back(path: str, first: Any, second: Any) -> Check:
    """Return the check that a setting takes two values and then its own again."""
    return Check(
        name=f"set {path}",
        step="set",
        expected=f"{first!r}, then {second!r}, then its own value read back",
        run=lambda instrument: _set_twice(instrument, path, first, second),
    )


def find(instrument: Any, path: str) -> Any:
    """Return a parameter by its path within an instrument."""
    for part in path.split("."):
        instrument = getattr(instrument, part)
    return instrument


def _identity(instrument: Any) -> str:
    idn = instrument.get_idn()
    told = " ".join(str(value) for value in idn.values() if value)
    return demand(bool(told), told or "nothing")


def _settings(instrument: Any) -> str:
    before, after = (dict(_values(instrument)) for _ in range(2))
    moved = [path for path in before if not _same(before[path], after[path])]
    told = f"{len(before)} settings" + (f"; not the same: {', '.join(moved)}" if moved else "")
    return demand(not moved, told)


def _values(instrument: Any) -> Iterator[tuple[str, object]]:
    """Give the value of every parameter that can be read and set, by path."""
    for name, parameter in instrument.parameters.items():
        if parameter.gettable and parameter.settable and not parameter.snapshot_exclude:
            yield name, parameter.get()
    for name, part in instrument.submodules.items():
        if hasattr(part, "parameters"):
            yield from ((f"{name}.{path}", value) for path, value in _values(part))


def _same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == other or abs(one - other) <= 1e-6 * max(abs(one), abs(other))
    return one == other


def _set_twice(instrument: Any, path: str, first: Any, second: Any) -> str:
    parameter = find(instrument, path)
    own = parameter.get()
    seen = []
    try:
        for wanted in (first, second):
            parameter.set(wanted)
            seen.append(parameter.get())
            demand(_close(seen[-1], wanted), f"{wanted!r} reads back as {seen[-1]!r}")
    finally:
        parameter.set(own)
    now = parameter.get()
    demand(_close(now, own), f"restored to {own!r}, but reads {now!r}")
    return f"read back {seen[0]!r}, {seen[1]!r}; restored to {now!r}"


def _close(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, int | float) and not isinstance(wanted, bool):
        return bool(abs(found - wanted) <= 1e-3 * abs(wanted) + 1e-12)
    return bool(found == wanted)


def _scpi_error(instrument: Any) -> str:
    left = instrument.drain_errors()
    instrument.write_unchecked("NONSENSE:COMMAND 1")
    told = instrument.drain_errors()
    after = instrument.drain_errors()
    before = f"before: {'; '.join(left)}; " if left else ""
    return demand(len(told) == 1 and not after, f"{before}told: {'; '.join(told) or 'nothing'}")


def _overflow(instrument: Any) -> str:
    instrument.drain_errors()
    for _ in range(MANY_ERRORS):
        instrument.write_unchecked("NONSENSE:COMMAND 1")
    told: list[str] = []
    while more := instrument.drain_errors():
        told += more
        demand(len(told) <= MANY_ERRORS, f"{len(told)} errors told, more than were made")
    depth = f"{len(told)} told; the last: {told[-1] if told else 'none'}"
    overflowed = bool(told) and told[-1].strip().startswith("-350")
    return demand(overflowed or len(told) == MANY_ERRORS, depth)


def _timing(instrument: Any) -> str:
    ask = _query(instrument)
    if ask is None:
        return "nothing to ask"
    seconds = []
    for _ in range(QUERIES):
        begin = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - begin)
    median, worst = statistics.median(seconds), max(seconds)
    return demand(median <= SLOW, f"median {median * 1e3:.2f} ms, worst {worst * 1e3:.2f} ms")


def _query(instrument: Any) -> Callable[[], object] | None:
    """Return a question that does no harm: who it is, or the channel of a switch."""
    if not hasattr(instrument, "visa_handle"):
        return None
    if getattr(instrument, "identity", "?"):
        return lambda: instrument.ask("*IDN?")
    position = instrument.parameters.get("position")
    return None if position is None else position.get


def _reconnect(instrument: Any) -> str:
    begin = time.perf_counter()
    instrument.reconnect()
    return f"{(time.perf_counter() - begin) * 1e3:.1f} ms"


def _unplugged(instrument: Any) -> str:
    ask = _query(instrument)
    if ask is None:
        return "nothing to ask"
    begin = time.perf_counter()
    try:
        ask()
        said = "answered"
    except OSError as error:
        said = f"told {type(error).__name__}"
    seconds = time.perf_counter() - begin
    ask()
    return demand(seconds <= LINK_BOUND, f"{said} after {seconds:.1f} s; then answered")
