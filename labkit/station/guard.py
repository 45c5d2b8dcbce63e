"""At every setting of an open station: are the interlocks asked; at every query: patience."""

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from functools import wraps
from math import inf
from threading import Event, Thread, get_ident, local
from time import monotonic, sleep
from typing import Any

from labkit.station.ending import said
from labkit.station.interlocks import Interlock, InterlockError, violations
from labkit.station.safety import being_made_safe

ACTIONS = (
    "program_pulse", "program_waveform", "load_segments", "load_sequence", "engage", "delatch",
    "trigger", "write", "write_raw",
)  # fmt: skip
"""Methods that change an instrument past its parameters."""

COMMANDS = ("ask", "ask_raw")
"""Methods that change an instrument if not all that they send are questions."""

QUERIES = ("lock_state", "temperature_of", "count_rate", "sync_rate", "output_is_on")
"""Methods that change nothing, and may be asked again."""

WORK = ("start", "wait", "stop", "elapsed")
"""Methods that may not take for ever; see `Guard.hanging`."""

ATTEMPTS = 3
"""How often a query that changes nothing is asked at once."""

PAUSE = 2.0
"""Seconds between later attempts."""

IDLE = 10.0
"""Seconds without a setting or a check after which the interlocks are asked all the same."""

LONGEST_CALL = 180.0
"""Seconds after which a call of an instrument hangs: thrice the longest move of a laser."""


class Guard:
    """Stands between whoever uses an open station and its instruments, whatever the route.

    A setting is refused if an interlock that names it, or one that must always hold, would be
    violated with the new value in place; allowed all the same is what leads to safety (see
    `Interlock.is_made_safer_by`) and causes no other violation. If one of them is violated already,
    all is made safe. Afterwards the interlocks that name the instrument, or what stands on it, are
    asked: if one is violated now, all is made safe. Actions that are no parameter (a raw ``write``,
    a waveform) are asked about in the same way. What makes safe is never asked about.

    While nobody sets or measures anything, all interlocks are asked every `IDLE` seconds, readings
    only; a violation makes all safe, after an alarm.

    A query that fails is asked again, `ATTEMPTS` times at once; if the link is at fault, then every
    `PAUSE` seconds for `patience` seconds, after an alarm. A parameter whose link fails is set
    again in the same way, but not at once, and the interlocks are asked each time. Actions are not
    repeated.

    Parameters
    ----------
    instruments : mapping of str to Instrument
    rules : tuple of Interlock
    standing : mapping of str to set of str
        Instrument to those on whose outputs or parameters it stands: ``voa_a`` to ``daq``.
    read : callable
        Returns the present value of a parameter by its dotted path.
    glance : callable
        The same, but settings as they were last known.
    make_safe : callable
    tell, alarm : callable
        Given a line; an alarm needs a person.
    patience : float
        s.
    """

    def __init__(
        self,
        instruments: Mapping[str, Any],
        rules: tuple[Interlock, ...],
        standing: Mapping[str, AbstractSet[str]],
        *,
        read: Callable[[str], float],
        glance: Callable[[str], float],
        make_safe: Callable[[], object],
        tell: Callable[[str], object],
        alarm: Callable[[str], object],
        patience: float,
    ) -> None:
        self._instruments, self._rules, self._standing = instruments, rules, standing
        self._read, self._glance, self._make_safe = read, glance, make_safe
        self._tell, self._alarm, self._patience = tell, alarm, patience
        self._inside = local()
        self._calls: dict[int, tuple[str, float]] = {}
        self._last_asked = monotonic()
        self._answered: dict[str, float] = {}

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Stand guard over all parameters and actions within the block."""
        placed: list[tuple[Any, str, Any]] = []
        try:
            for name, instrument in self._instruments.items():
                for owner, attribute, wrapped in self._wrapped(name, instrument):
                    placed.append((owner, attribute, vars(owner).get(attribute)))
                    setattr(owner, attribute, wrapped)
            with self._keeping_watch():
                yield
        finally:
            for owner, attribute, before in reversed(placed):
                if before is None:
                    delattr(owner, attribute)
                else:
                    setattr(owner, attribute, before)

    def asked(self) -> None:
        """Note that the interlocks are being asked."""
        self._last_asked = monotonic()

    def has_asked(self, path: str, since: float) -> bool:
        """Tell whether a parameter's instrument has answered since a reading of `monotonic`."""
        return self._answered.get(path, -inf) >= since

    @contextmanager
    def _keeping_watch(self) -> Iterator[None]:
        """Ask the interlocks within the block whenever nobody has for `IDLE` seconds."""
        end = Event()

        def work() -> None:
            self._inside.depth = 1  # who does not answer at once is not waited for
            violated: set[str] = set()
            while not end.wait(0.2 * IDLE):
                if not self._calls and monotonic() - self._last_asked >= IDLE:
                    violated = self._look(violated, end)

        thread = Thread(target=work, name="interlocks", daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join(1.0)

    def _look(self, known: set[str], end: Event) -> set[str]:
        """Make all safe if an interlock is violated that was not before; return those that are."""
        self.asked()
        try:
            found = violations(self._rules, self._glance)
        except Exception as error:  # noqa: BLE001, RUF100  # whatever it is: nobody knows
            found = {"": f"the interlocks cannot be asked: {said(error)}"}
        if found.keys() - known and not end.is_set():
            self._alarm(f"{'; '.join(found.values())}; all is made safe")
            self._make_safe()
        return set(found)

    def hanging(self) -> str:
        """Tell which call of an instrument has lasted longer than `LONGEST_CALL`; "": none."""
        for what, begin in list(self._calls.values()):
            if monotonic() - begin > LONGEST_CALL:
                return f"{what} has not returned for {monotonic() - begin:.0f} s"
        return ""

    def _wrapped(self, path: str, owner: Any) -> Iterator[tuple[Any, str, Any]]:
        """Give what takes the place of an instrument's or channel's methods."""
        for name, parameter in owner.parameters.items():
            where = f"{path}.{name}"
            if parameter.settable:
                yield parameter, "set", self._setting(where, parameter)
            if parameter.gettable:
                yield parameter, "get", self._asking(where, parameter.get)
        yield from self._methods(path, owner)
        for name, part in owner.submodules.items():
            if hasattr(part, "parameters"):
                yield from self._wrapped(f"{path}.{name}", part)

    def _methods(self, path: str, owner: Any) -> Iterator[tuple[Any, str, Any]]:
        kinds = (
            (ACTIONS, self._acting), (COMMANDS, self._commanding), (QUERIES, self._asking),
            (WORK, self._working), (("ramp_to",), self._ramping),
        )  # fmt: skip
        for names, wrap in kinds:
            for name in names:
                method = getattr(owner, name, None)
                above = name in ("write", *COMMANDS) and "." in path  # through the instrument's
                if callable(method) and not above:
                    yield owner, name, wrap(f"{path}.{name}", method)

    def _setting(self, path: str, parameter: Any) -> Callable[..., None]:
        act = parameter.set

        @wraps(act)
        def setting(value: Any, **named: Any) -> None:
            if self._free():
                act(value, **named)
                return
            self._set_patiently(path, lambda: self._do(path, lambda: act(value, **named), value))

        return setting

    def _ramping(self, path: str, act: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(act)
        def ramping(channel: int, current: float) -> Any:
            where = f"{path.removesuffix('.ramp_to')}.channel{channel}.current"
            return self._do(where, lambda: act(channel, current), current)

        return ramping

    def _acting(self, path: str, act: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(act)
        def acting(*given: Any, **named: Any) -> Any:
            return self._do(path, lambda: act(*given, **named))

        return acting

    def _commanding(self, path: str, act: Callable[[str], Any]) -> Callable[[str], Any]:
        @wraps(act)
        def commanding(command: str) -> Any:
            asking = getattr(self._inside, "asking", False)
            if asking or all("?" in part for part in command.split(";")):
                return act(command)
            return self._do(path, lambda: act(command))

        return commanding

    def _working(self, path: str, act: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(act)
        def working(*given: Any, **named: Any) -> Any:
            if self._free():
                return act(*given, **named)
            with self._within(path):
                return act(*given, **named)

        return working

    def _asking(self, path: str, ask: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(ask)
        def asking(*given: Any, **named: Any) -> Any:
            begin = monotonic()
            if being_made_safe() or getattr(self._inside, "asking", False):
                answer = ask(*given, **named)
            else:
                self._inside.asking = True
                try:
                    answer = self._patiently(path, lambda: ask(*given, **named))
                finally:
                    self._inside.asking = False
            self._answered[path] = begin
            return answer

        return asking

    def _patiently(self, path: str, ask: Callable[[], Any]) -> Any:
        """Ask, and ask again; within an action without the long wait."""
        end: float | None = None
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = ask()
            except (OSError, ValueError) as error:
                if attempt < ATTEMPTS:
                    self._tell(f"{path}: asking again, since: {said(error)}")
                    continue
                acting = bool(getattr(self._inside, "depth", 0))
                if acting or not isinstance(error, OSError) or not self._patience:
                    raise
                if end is None:
                    end = monotonic() + self._patience
                    self._alarm(
                        f"{path} cannot be asked, waiting {self._patience:g} s: {said(error)}"
                    )
                if monotonic() >= end:
                    raise
                sleep(PAUSE)
            else:
                if end is not None:
                    self._alarm(f"{path} answers again")
                return answer

    def _set_patiently(self, path: str, act: Callable[[], object]) -> None:
        """Set a parameter; if its link fails, alarm, wait and set it again."""
        end: float | None = None
        while True:
            try:
                act()
            except OSError as error:
                if not self._patience or (end is not None and monotonic() >= end):
                    raise
                if end is None:
                    end = monotonic() + self._patience
                    self._alarm(
                        f"{path} cannot be set, waiting {self._patience:g} s: {said(error)}"
                    )
                sleep(PAUSE)
            else:
                if end is not None:
                    self._alarm(f"{path} can be set again")
                return

    def _do(self, path: str, act: Callable[[], Any], value: Any = None) -> Any:
        if self._free():
            return act()
        known = self._check_before(path, value)
        with self._within(path):
            result = act()
        self._check_after(path, known)
        return result

    def _free(self) -> bool:
        """Tell whether what happens is part of an action that was asked about, or makes safe."""
        return bool(getattr(self._inside, "depth", 0)) or being_made_safe()

    @contextmanager
    def _within(self, path: str) -> Iterator[None]:
        self._inside.depth = 1
        self._calls[get_ident()] = (path, monotonic())
        try:
            yield
        finally:
            self._inside.depth = 0
            self._calls.pop(get_ident(), None)

    def _check_before(self, path: str, value: Any) -> set[str]:
        """Refuse what may not be; return the violations that there are all the same."""
        self.asked()
        rules = [rule for rule in self._rules if not rule.conditions or rule.names(path)]
        if not rules:
            return set()
        number = _number(value)

        def forecast(asked: str) -> float:
            return self._read(asked) if asked != path or number is None else number

        found = violations(rules, forecast)
        if not found:
            return set()
        safer = value is False or any(rule.is_made_safer_by(path, number) for rule in self._rules)
        now = violations(rules, self._read)
        if safer and found.keys() <= now.keys():
            return set(found)
        message = f"{path} is not set to {value!r}: " if value is not None else f"no {path}: "
        message += "; ".join(found.values())
        if now:
            self._make_safe()
            message += "; as it is so already, all was made safe"
        raise InterlockError(message)

    def _check_after(self, path: str, known: set[str]) -> None:
        name = path.split(".", maxsplit=1)[0]
        touched = {name} | {upper for upper, lower in self._standing.items() if name in lower}
        rules = [rule for rule in self._rules if any(rule.is_about(one) for one in touched)]
        found = violations([rule for rule in rules if rule.name not in known], self._read)
        if found:
            self._make_safe()
            message = f"after {path}: {'; '.join(found.values())}; all was made safe"
            raise InterlockError(message)


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None
