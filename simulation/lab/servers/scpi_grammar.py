"""SCPI on the wire: messages, units, headers in short and long form, definite blocks.

The rules are those of IEEE 488.2 (messages, blocks) and SCPI-99 volume 1, chapters 6 and 7
(headers, suffixes, compound paths).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from types import MappingProxyType

_PATTERN_PART = re.compile(r"\[([^\]]*)\]|([^\[\]]+)")
_SUFFIX = re.compile(r"(?<=[a-z])\d+(?=:|$)")
_BREAK = re.compile(rb'\n|"[^"\n]*"|#[1-9]')
_SEPARATOR = re.compile(rb'[;,]|"[^"]*"|#[1-9]')
_HEADER = re.compile(rb'[^\s#"]*')


class MessageFramer:
    """Cut a stream of bytes into messages that end with line feed.

    A line feed inside a definite block (``#<digits><bytes><data>``) or a quoted string does not
    end a message: blocks are skipped by their byte count.

    Parameters
    ----------
    block_ends : bool
        Whether the end of a block ends its message, too: on a bus whose END signal a client sends
        instead of a line feed, which a socket does not carry.
    """

    def __init__(self, *, block_ends: bool = False) -> None:
        self._block_ends = block_ends
        self._buffer = bytearray()
        self._scanned = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes as they arrive; give every message they complete, without its line feed."""
        self._buffer += data
        while (end := self._find_end()) is not None:
            message = bytes(self._buffer[:end])
            is_line = self._buffer[end : end + 1] == b"\n"
            del self._buffer[: end + is_line]
            self._scanned = 0
            yield message

    @property
    def pending(self) -> int:
        """Bytes of a message that has not ended."""
        return len(self._buffer)

    @property
    def inside_block(self) -> bool:
        """Whether the stream stands within a definite block."""
        return self._buffer[self._scanned : self._scanned + 1] == b"#"

    def _find_end(self) -> int | None:
        while found := _BREAK.search(self._buffer, self._scanned):
            if found[0] == b"\n":
                return found.start()
            if found[0][:1] == b'"':
                self._scanned = found.end()
                continue
            self._scanned = found.start()
            stop = _block_end(self._buffer, found.start())
            if stop is None or stop > len(self._buffer):
                return None
            self._scanned = stop
            if self._block_ends:
                return stop
        return None


def _block_end(data: bytes | bytearray, start: int) -> int | None:
    """Return where the definite block at `start` ends; ``None`` if its header is incomplete.

    Something that is no block header ends right after its first two characters.
    """
    digits = data[start + 1] - ord("0")
    count = bytes(data[start + 2 : start + 2 + digits])
    if not re.fullmatch(rb"\d*", count):
        return start + 2
    if len(count) < digits:
        return None
    return start + 2 + digits + int(count)


def _cut(data: bytes, separator: bytes) -> list[bytes]:
    """Cut at `separator` outside of quotes and blocks."""
    if b'"' not in data and b"#" not in data:
        return data.split(separator)
    parts, begin, position = [], 0, 0
    while found := _SEPARATOR.search(data, position):
        position = found.end()
        if found[0][:1] == b"#":
            position = _block_end(data, found.start()) or len(data)
        elif found[0] == separator:
            parts.append(data[begin : found.start()])
            begin = position
    return [*parts, data[begin:]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageUnit:
    """One command or query of a message: full header from the root, and its arguments."""

    header: str
    is_query: bool
    arguments: tuple[bytes, ...]


def split_message(message: bytes) -> Iterator[MessageUnit]:
    """Give the units of a message; a header without leading colon continues the former path.

    A header ends at white space, or where a block or a quoted string begins.
    """
    path = ""
    for text in _cut(message, b";"):
        text = text.lstrip()
        head = _header(text)
        if not text:
            continue
        tail = text[len(head) :].lstrip()
        header = head.decode("latin-1").lower()
        if header.startswith(":"):
            header = header[1:]
        elif not header.startswith("*"):
            header = path + header
        if not header.startswith("*"):
            path = header[: header.rfind(":") + 1]
        yield MessageUnit(
            header=header.removesuffix("?"),
            is_query=header.endswith("?"),
            arguments=tuple(map(_trim, _cut(tail, b","))) if tail.strip() else (),
        )


LONGEST_KNOWN = 64
"""Bytes of the longest message that `units_of` keeps."""


def units_of(message: bytes) -> Iterable[MessageUnit]:
    """Give the units of a message as `split_message`; what was asked before is known by heart."""
    return _known_units(message) if len(message) <= LONGEST_KNOWN else split_message(message)


@lru_cache(maxsize=1024)
def _known_units(message: bytes) -> tuple[MessageUnit, ...]:
    return tuple(split_message(message))


def _header(text: bytes) -> bytes:
    """Return what stands before the first space, quote or block."""
    found = _HEADER.match(text)
    return found[0] if found else b""


def _trim(argument: bytes) -> bytes:
    """Strip white space around an argument, but nothing that belongs to a block."""
    argument = argument.lstrip()
    if not re.match(rb"#[1-9]", argument):
        return argument.rstrip()
    return argument[: _block_end(argument, 0)]


def read_block(argument: bytes) -> bytes | None:
    """Return the data of a definite block, or ``None`` if it is none."""
    if not re.match(rb"#[1-9]", argument):
        return None
    digits = argument[1] - ord("0")
    data = argument[2 + digits :]
    count = argument[2 : 2 + digits]
    return data if count.isdigit() and int(count) == len(data) else None


def make_block(data: bytes) -> bytes:
    """Return `data` as a definite block."""
    count = str(len(data)).encode()
    return b"#%d%s%s" % (len(count), count, data)


@cache
def spellings(pattern: str) -> Mapping[str, tuple[bool, ...]]:
    """Return every lower-case spelling of a header pattern.

    Parameters
    ----------
    pattern : str
        As in manuals: ``[SOURce#:]VOLTage[:LEVel]``; capitals are the short form, brackets
        optional, ``#`` a numeric suffix that may be left out.

    Returns
    -------
    mapping of str to tuple of bool
        Spelling, with ``#`` where a number stands, to which suffixes are written in it.
    """
    nodes = [
        _node_spellings(node, may_be_left_out=bool(optional))
        for optional, fixed in _PATTERN_PART.findall(pattern)
        for node in (optional or fixed).strip(":").split(":")
    ]
    found: dict[str, tuple[bool, ...]] = {}
    for choice in product(*nodes):
        header = ":".join(text for text, _ in choice if text)
        found[header] = tuple(written for _, flags in choice for written in flags)
    return MappingProxyType(found)


def _node_spellings(node: str, *, may_be_left_out: bool) -> list[tuple[str, tuple[bool, ...]]]:
    name = node.removesuffix("#")
    short = "".join(letter for letter in name if not letter.islower())
    names = dict.fromkeys((name.lower(), short.lower()))
    if may_be_left_out:
        names[""] = None
    if name == node:
        return [(text, ()) for text in names]
    return [
        (text + mark, (mark == "#",)) for text in names for mark in ("", "#") if text or not mark
    ]


def split_suffixes(header: str) -> tuple[str, list[int]]:
    """Return a header with its numbers replaced by ``#``, and the numbers."""
    return _SUFFIX.sub("#", header), [int(digits) for digits in _SUFFIX.findall(header)]
