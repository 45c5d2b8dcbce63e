"""The header of a PTU file: tags to and from bytes, as a typed mapping.

Source: PicoQuant, "Tag Types" and "Tag Dictionary" (unified tag file format documentation).
"""

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from analysis.tagfile.source import TagFileError, file_size, open_file

TAG = struct.Struct("<32siI8s")
"""Fixed part of a tag: name, index (-1 for none), type, value or payload length."""

MAX_NAME = 31
_EPOCH = datetime(1899, 12, 30)
_KEY = re.compile(r"(?P<name>[^\[\]]+)(?:\[(?P<index>\d+)\])?")


class TagType(IntEnum):
    """Tag type codes as they stand in the file."""

    EMPTY = 0xFFFF0008
    BOOL = 0x00000008
    INT = 0x10000008
    BITSET = 0x11000008
    COLOR = 0x12000008
    FLOAT = 0x20000008
    DATETIME = 0x21000008
    FLOAT_ARRAY = 0x2001FFFF
    ANSI_STRING = 0x4001FFFF
    WIDE_STRING = 0x4002FFFF
    BLOB = 0xFFFFFFFF


PAYLOAD_TYPES = frozenset(
    {TagType.FLOAT_ARRAY, TagType.ANSI_STRING, TagType.WIDE_STRING, TagType.BLOB}
)
"""Types whose value field is the length in bytes of a payload that follows the tag."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tag:
    """One header tag.

    Attributes
    ----------
    name : str
    value : object
        None, bool, int, float, datetime, str, bytes, or ndarray of float64, by `type`.
    type : TagType
    index : int or None
        Position in an indexed tag such as ``HWInpChan_Offset``.
    offset : int or None
        Byte at which the tag starts in the file it was read from.
    """

    name: str
    value: object
    type: TagType
    index: int | None = None
    offset: int | None = None

    @property
    def key(self) -> str:
        """``"Name"``, or ``"Name[0]"`` for an indexed tag."""
        return self.name if self.index is None else f"{self.name}[{self.index}]"

    @classmethod
    def of(cls, key: str, value: object) -> "Tag":
        """Make a tag from its key and a plain Python value, whose type gives the tag's type.

        Raises
        ------
        ValueError
            If the key is not a name of at most 31 ASCII characters with an optional ``[index]``.
        TypeError
            If no tag type holds such a value.
        """
        match = _KEY.fullmatch(key)
        if match is None or not key.isascii() or len(match["name"]) > MAX_NAME:
            message = (
                f"a tag's key must be 'Name' or 'Name[index]' with at most {MAX_NAME} ASCII "
                f"characters, but is {key!r}"
            )
            raise ValueError(message)
        index = None if match["index"] is None else int(match["index"])
        return cls(name=match["name"], value=value, type=_type_of(key, value), index=index)

    def to_bytes(self) -> bytes:
        """Return the tag as it stands in a file, payload included."""
        field, payload = _encode_value(self)
        index = -1 if self.index is None else self.index
        return TAG.pack(self.name.encode("ascii"), index, self.type, field) + payload


def _type_of(key: str, value: object) -> TagType:
    simple: list[tuple[type, TagType]] = [
        (bool, TagType.BOOL),
        (int, TagType.INT),
        (float, TagType.FLOAT),
        (datetime, TagType.DATETIME),
        (bytes, TagType.BLOB),
        (np.ndarray, TagType.FLOAT_ARRAY),
    ]
    if value is None:
        return TagType.EMPTY
    if isinstance(value, str):
        return TagType.ANSI_STRING if _is_ansi(value) else TagType.WIDE_STRING
    for python_type, tag_type in simple:
        if isinstance(value, python_type):
            return tag_type
    message = (
        f"tag {key!r} must be None, bool, int, float, datetime, str, bytes or an array of float, "
        f"but is {type(value).__name__}"
    )
    raise TypeError(message)


def _is_ansi(text: str) -> bool:
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def _encode_value(tag: Tag) -> tuple[bytes, bytes]:
    """Return the eight value bytes and the payload."""
    try:
        if tag.type in PAYLOAD_TYPES:
            payload = _PAYLOAD_ENCODERS[tag.type](tag.value)
            return struct.pack("<q", len(payload)), payload
        return _FIELD_ENCODERS[tag.type](tag.value), b""
    except (struct.error, TypeError, UnicodeEncodeError) as error:
        message = f"tag {tag.key!r} of type {tag.type.name} cannot hold {tag.value!r}: {error}"
        raise ValueError(message) from error


def _pack_days(value: object) -> bytes:
    days = (cast("datetime", value) - _EPOCH) / timedelta(days=1)
    return struct.pack("<d", days)


def _pad(text: bytes) -> bytes:
    """End a string with at least one zero and fill up to a multiple of eight, as the vendor."""
    return text.ljust((len(text) // 8 + 1) * 8, b"\0")


_FIELD_ENCODERS: dict[TagType, Callable[[object], bytes]] = {
    TagType.EMPTY: lambda _: bytes(8),
    TagType.BOOL: lambda value: struct.pack("<q", -1 if value else 0),
    TagType.INT: lambda value: struct.pack("<q", value),
    TagType.BITSET: lambda value: struct.pack("<Q", value),
    TagType.COLOR: lambda value: struct.pack("<Q", value),
    TagType.FLOAT: lambda value: struct.pack("<d", value),
    TagType.DATETIME: _pack_days,
}

_PAYLOAD_ENCODERS: dict[TagType, Callable[[object], bytes]] = {
    TagType.FLOAT_ARRAY: lambda value: np.asarray(value, dtype="<f8").tobytes(),
    TagType.ANSI_STRING: lambda value: _pad(cast("str", value).encode("cp1252")),
    TagType.WIDE_STRING: lambda value: _pad(cast("str", value).encode("utf-16-le") + b"\0\0"),
    TagType.BLOB: lambda value: bytes(cast("bytes", value)),
}


def _unpack_days(field: bytes) -> datetime:
    (days,) = struct.unpack("<d", field)
    return _EPOCH + timedelta(days=days)


def _unpack_ansi(payload: bytes) -> str:
    text = payload.partition(b"\0")[0]
    try:
        return text.decode("cp1252")
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _unpack_wide(payload: bytes) -> str:
    return payload.decode("utf-16-le", errors="replace").partition("\0")[0]


_FIELD_DECODERS: dict[TagType, Callable[[bytes], object]] = {
    TagType.EMPTY: lambda _: None,
    TagType.BOOL: lambda field: any(field),
    TagType.INT: lambda field: int.from_bytes(field, "little", signed=True),
    TagType.BITSET: lambda field: int.from_bytes(field, "little"),
    TagType.COLOR: lambda field: int.from_bytes(field, "little"),
    TagType.FLOAT: lambda field: struct.unpack("<d", field)[0],
    TagType.DATETIME: _unpack_days,
}

_PAYLOAD_DECODERS: dict[TagType, Callable[[bytes], object]] = {
    TagType.FLOAT_ARRAY: lambda payload: np.frombuffer(payload, dtype="<f8"),
    TagType.ANSI_STRING: _unpack_ansi,
    TagType.WIDE_STRING: _unpack_wide,
    TagType.BLOB: lambda payload: payload,
}


def decode_value(tag_type: TagType, field: bytes, payload: bytes) -> object:
    """Return the value of a tag from its eight value bytes and its payload.

    Raises
    ------
    ValueError, OverflowError
        If the bytes are not a value of that type (an array of a broken number of floats, a date
        outside the calendar).
    """
    if tag_type in PAYLOAD_TYPES:
        return _PAYLOAD_DECODERS[tag_type](payload)
    return _FIELD_DECODERS[tag_type](field)


_TYPES = {int(kind): kind for kind in TagType}
MAGIC = b"PQTTTR\0\0"
VERSION = "1.0.00"
PREAMBLE = 16
"""Bytes before the first tag: magic and version."""

MAX_PAYLOAD = 1 << 24
"""Longest payload that is read; a longer one is taken for a corrupt length, which in a large file
would ask for much memory."""

_CORRUPT = "the header is corrupt: copy the file again from the measurement computer"


class TagNotFoundError(KeyError):
    """A header has no tag of that name; the message names the file and the nearest tags."""

    def __init__(self, key: str, name: str, known: tuple[str, ...]) -> None:
        super().__init__(key, name, known)
        self.key = key
        self.name = name
        self.known = known

    def __str__(self) -> str:
        from difflib import get_close_matches

        nearest = ", ".join(get_close_matches(self.key, self.known, n=3, cutoff=0.5))
        hint = f"nearest are {nearest}" if nearest else f"it has {len(self.known)} other tags"
        return f"{self.name}: the header has no tag {self.key!r}; {hint}"


class PtuHeader(Mapping[str, object]):
    """Tags of a PTU header by key, with typed values.

    The key of an indexed tag is ``"Name[0]"``, as in ``header["HWInpChan_Offset[0]"]``; a key
    that occurs twice has its last value.

    Parameters
    ----------
    tags : iterable of Tag
        In file order.
    name : str
        File name, for messages.
    data_offset : int
        Byte at which the records start.
    version : str, optional
        Version of the header format.
    """

    def __init__(
        self, tags: Iterable[Tag], *, name: str, data_offset: int, version: str = VERSION
    ) -> None:
        self.tags = tuple(tags)
        self.name = name
        self.data_offset = data_offset
        self.version = version
        self._by_key = {tag.key: tag for tag in self.tags}

    def tag(self, key: str) -> Tag:
        """Return the tag itself, with its type and its place in the file."""
        try:
            return self._by_key[key]
        except KeyError:
            raise TagNotFoundError(key, self.name, tuple(self._by_key)) from None

    def __getitem__(self, key: str) -> object:
        return self.tag(key).value

    def __contains__(self, key: object) -> bool:
        return key in self._by_key

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_key)

    def __len__(self) -> int:
        return len(self._by_key)

    def __repr__(self) -> str:
        return f"<PtuHeader of {self.name}: {len(self)} tags, records from byte {self.data_offset}>"


def read_header(source: str | Path | bytes) -> PtuHeader:
    """Read the header of a PTU file.

    Parameters
    ----------
    source : path or bytes
        The file, or its first bytes.

    Raises
    ------
    TagFileError
        If this is no PTU file, or its header is truncated or corrupt; the message names file, tag
        and byte.
    """
    if isinstance(source, bytes):
        return _read(BytesIO(source), len(source), "<bytes>")
    path = Path(source)
    with open_file(path) as stream:
        return _read(stream, file_size(path), str(path))


def write_header(tags: Mapping[str, object] | Iterable[Tag]) -> bytes:
    """Return the bytes of a PTU header, the inverse of `read_header`.

    Parameters
    ----------
    tags : mapping or iterable of Tag
        Values by key (types follow from the values), or tags with their types, or a `PtuHeader`.
        ``Header_End`` is added.

    Raises
    ------
    ValueError, TypeError
        If a key or a value does not fit into a tag.
    """
    if isinstance(tags, PtuHeader):
        tags = tags.tags
    elif isinstance(tags, Mapping):
        tags = [Tag.of(key, value) for key, value in tags.items()]
    parts = [MAGIC, VERSION.encode().ljust(8, b"\0")]
    parts += [tag.to_bytes() for tag in tags if tag.name != "Header_End"]
    parts.append(Tag.of("Header_End", None).to_bytes())
    return b"".join(parts)


def _read(stream: BinaryIO, size: int, name: str) -> PtuHeader:
    preamble = stream.read(PREAMBLE)
    if preamble[:8] != MAGIC:
        message = (
            f"{name}: a PTU file must start with {MAGIC!r}, but starts with {preamble[:8]!r}; "
            "this is not a PTU file"
        )
        raise TagFileError(message)
    tags: list[Tag] = []
    offset = PREAMBLE
    while not tags or tags[-1].name != "Header_End":
        tag, offset = _read_tag(stream, offset, size, name, tags[-1].key if tags else None)
        tags.append(tag)
    version = preamble[8:].rstrip(b"\0").decode("latin-1")
    return PtuHeader(tags[:-1], name=name, data_offset=offset, version=version)


def _read_tag(
    stream: BinaryIO, offset: int, size: int, name: str, previous: str | None
) -> tuple[Tag, int]:
    """Return a tag, and the byte that the next one begins at."""
    raw = stream.read(TAG.size)
    if len(raw) < TAG.size:
        after = "the preamble" if previous is None else f"tag {previous!r}"
        message = (
            f"{name}: the header must end with tag 'Header_End', but the file ends after {after} "
            f"at byte {offset + len(raw)}; {_CORRUPT}"
        )
        raise TagFileError(message)
    plain = _plain_tag(raw, offset)
    if plain is not None:
        return plain, offset + TAG.size
    ident, number, type_code, field = TAG.unpack(raw)
    tag_name = _name_of(ident)
    tag_type = _TYPES.get(type_code)
    if tag_type is None:
        message = (
            f"{_place(name, tag_name, offset)} has the unknown type 0x{type_code:08X}; {_CORRUPT}"
        )
        raise TagFileError(message)
    payload = b""
    if tag_type in PAYLOAD_TYPES:
        available = size - offset - TAG.size
        payload = _read_payload(stream, available, _place(name, tag_name, offset), field)
    try:
        value = decode_value(tag_type, field, payload)
    except (ValueError, OverflowError) as error:
        message = (
            f"{_place(name, tag_name, offset)} holds no valid {tag_type.name} ({error}); {_CORRUPT}"
        )
        raise TagFileError(message) from error
    tag = Tag(name=tag_name, value=value, type=tag_type, index=_index_of(number), offset=offset)
    return tag, offset + TAG.size + len(payload)


@lru_cache(maxsize=1024)
def _plain_tag(raw: bytes, offset: int) -> Tag | None:
    """Return a tag without payload, or None if it has one or is not valid.

    The files of a night have nearly all their tags in common.
    """
    ident, number, type_code, field = TAG.unpack(raw)
    tag_type = _TYPES.get(type_code)
    if tag_type is None or tag_type in PAYLOAD_TYPES:
        return None
    try:
        value = decode_value(tag_type, field, b"")
    except (ValueError, OverflowError):
        return None
    name = _name_of(ident)
    return Tag(name=name, value=value, type=tag_type, index=_index_of(number), offset=offset)


def _name_of(ident: bytes) -> str:
    return ident.partition(b"\0")[0].decode("latin-1")


def _index_of(number: int) -> int | None:
    return None if number < 0 else number


def _place(name: str, tag_name: str, offset: int) -> str:
    return f"{name}: header tag {tag_name!r} at byte {offset}"


def _read_payload(stream: BinaryIO, available: int, place: str, field: bytes) -> bytes:
    """Read a payload, checking its length against the file before memory is asked for."""
    length = int.from_bytes(field, "little", signed=True)
    if not 0 <= length <= min(available, MAX_PAYLOAD):
        message = (
            f"{place} claims a payload of {length} bytes, but {available} bytes follow "
            f"(and at most {MAX_PAYLOAD} are read); {_CORRUPT}"
        )
        raise TagFileError(message)
    return stream.read(length)
