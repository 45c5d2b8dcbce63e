"""What SCPI arguments may be: numbers with units and limits, words, switches, quoted text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite, pi
from typing import Protocol

Value = float | int | bool | str

TEXTS = {
    0: "No error",
    -100: "Command error",
    -104: "Data type error",
    -108: "Parameter not allowed",
    -109: "Missing parameter",
    -113: "Undefined header",
    -114: "Header suffix out of range",
    -131: "Invalid suffix",
    -141: "Invalid character data",
    -161: "Invalid block data",
    -200: "Execution error",
    -220: "Parameter error",
    -221: "Settings conflict",
    -222: "Data out of range",
    -223: "Too much data",
    -224: "Illegal parameter value",
    -225: "Out of memory",
    -230: "Data corrupt or stale",
    -350: "Queue overflow",
    -410: "Query INTERRUPTED",
}
"""Standard error texts (SCPI-99 volume 2, chapter 21)."""

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([a-zA-Z]*)")

RADIANS = {"": 1.0, "rad": 1.0, "deg": pi / 180}
VOLTS = {"": 1.0, "v": 1.0, "mv": 1e-3, "uv": 1e-6}
SECONDS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}
HERTZ = {"": 1.0, "hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9}
PERCENTS = {"": 1.0, "pct": 1.0}
OHMS = {"": 1.0, "ohm": 1.0, "kohm": 1e3}


class ScpiError(Exception):
    """A command that the simulated instrument refuses: code and text go to its error queue."""

    def __init__(self, code: int, text: str | None = None) -> None:
        self.code = code
        self.text = TEXTS[code] if text is None else text
        super().__init__(f'{code},"{self.text}"')


def plain_number(text: str) -> float:
    """Return a number without unit, finite, in digits that instruments know.

    Raises
    ------
    ValueError
        If it is none; `float` alone takes ``nan``, ``inf`` and ``1_0`` besides.
    """
    found = _NUMBER.fullmatch(text.strip())
    if found is None or found[2] or not isfinite(value := float(found[1])):
        message = f"{text!r} must be a number, but is none"
        raise ValueError(message)
    return value


class Kind(Protocol):
    """How one setting's argument is read and its value shown."""

    def read(self, argument: bytes) -> Value:
        """Turn an argument into a value or raise `ScpiError`."""

    def show(self, value: Value) -> str:
        """Return the reply to the query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number within limits; ``MIN`` and ``MAX`` name them.

    Attributes
    ----------
    low, high : float
    units : dict of str to float
        Lower-case unit suffix to factor.
    form : str
        Format of the reply.
    infinity : bool
        Whether ``INF`` is a value; it is shown as 9.9E+37.
    """

    low: float = -inf
    high: float = inf
    units: Mapping[str, float] = field(default_factory=lambda: {"": 1.0})
    form: str = ".6E"
    infinity: bool = False

    def read(self, argument: bytes) -> float:
        """Turn an argument into a number."""
        text = argument.decode("latin-1").strip()
        word = text.upper()
        if word in ("MIN", "MINIMUM", "MAX", "MAXIMUM"):
            return self._named(word)
        if self.infinity and word in ("INF", "INFINITY"):
            return inf
        found = _NUMBER.fullmatch(text)
        if not found:
            raise ScpiError(-104)
        factor = self.units.get(found[2].lower())
        if factor is None:
            raise ScpiError(-131)
        value = float(found[1]) * factor
        if not isfinite(value) or not (self.low <= value <= self.high):
            raise ScpiError(-222)
        return value

    def _named(self, word: str) -> float:
        value = self.low if word.startswith("MIN") else self.high
        if not isfinite(value):
            raise ScpiError(-224)
        return value

    def show(self, value: Value) -> str:
        """Return the reply to the query."""
        return "9.9E+37" if value == inf else format(value, self.form)


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer(Number):
    """A whole number within limits."""

    form: str = "d"

    def read(self, argument: bytes) -> float:
        """Turn an argument into a whole number, rounding as instruments do."""
        value = Number.read(self, argument)
        return value if value == inf else round(value)


@dataclass(frozen=True, slots=True)
class Word:
    """One of some words, in short or long form; shown in short form.

    Attributes
    ----------
    words : tuple of str
        As in manuals: ``NORMal``.
    aliases : dict of str to str
        Further words in capitals, and what each stands for, in short form.
    """

    words: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)

    def read(self, argument: bytes) -> str:
        """Turn an argument into the short form of a word."""
        text = argument.decode("latin-1").strip().upper()
        for word in self.words:
            short = _short(word)
            if text in (short, word.upper()):
                return short
        if text in self.aliases:
            return self.aliases[text]
        raise ScpiError(-224 if text.isalnum() else -141)

    def show(self, value: Value) -> str:
        """Return the reply to the query."""
        return str(value)


def _short(word: str) -> str:
    return "".join(letter for letter in word if not letter.islower())


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """``ON``, ``OFF``, 1 or 0.

    Attributes
    ----------
    shown : tuple of str
        Replies for off and on.
    """

    shown: tuple[str, str] = ("0", "1")

    def read(self, argument: bytes) -> bool:
        """Turn an argument into a truth value."""
        text = argument.decode("latin-1").strip().upper()
        if text not in ("0", "1", "ON", "OFF"):
            raise ScpiError(-224)
        return text in ("1", "ON")

    def show(self, value: Value) -> str:
        """Return the reply to the query."""
        return self.shown[bool(value)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawText:
    """What came, as it came."""

    def read(self, argument: bytes) -> str:
        """Turn an argument into text."""
        return argument.decode("latin-1")

    def show(self, value: Value) -> str:
        """Return the reply to the query."""
        return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A quoted string."""

    def read(self, argument: bytes) -> str:
        """Turn an argument into text."""
        return argument.decode("latin-1").strip().strip("\"'")

    def show(self, value: Value) -> str:
        """Return the reply to the query."""
        return f'"{value}"'
