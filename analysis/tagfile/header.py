"""The header of a PTU file: read into a typed mapping, and written from one."""

from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from analysis.tagfile.source import TagFileError, file_size, open_file
from analysis.tagfile.tags import PAYLOAD_TYPES, TAG, Tag, TagType, decode_value

MAGIC = b"PQTTTR\0\0"
VERSION = "1.0.00"
PREAMBLE = 16
"""Bytes before the first tag: magic and version."""

MAX_PAYLOAD = 1 << 28
"""Longest payload that is read; a longer one is taken for a corrupt length."""

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
    while not tags or tags[-1].name != "Header_End":
        tags.append(_read_tag(stream, size, name, tags[-1].key if tags else None))
    version = preamble[8:].rstrip(b"\0").decode("latin-1")
    return PtuHeader(tags[:-1], name=name, data_offset=stream.tell(), version=version)


def _read_tag(stream: BinaryIO, size: int, name: str, previous: str | None) -> Tag:
    offset = stream.tell()
    raw = stream.read(TAG.size)
    if len(raw) < TAG.size:
        after = "the preamble" if previous is None else f"tag {previous!r}"
        message = (
            f"{name}: the header must end with tag 'Header_End', but the file ends after {after} "
            f"at byte {offset + len(raw)}; {_CORRUPT}"
        )
        raise TagFileError(message)
    ident, number, type_code, field = TAG.unpack(raw)
    tag_name = ident.partition(b"\0")[0].decode("latin-1")
    place = f"{name}: header tag {tag_name!r} at byte {offset}"
    try:
        tag_type = TagType(type_code)
    except ValueError:
        message = f"{place} has the unknown type 0x{type_code:08X}; {_CORRUPT}"
        raise TagFileError(message) from None
    payload = _read_payload(stream, size, place, field) if tag_type in PAYLOAD_TYPES else b""
    try:
        value = decode_value(tag_type, field, payload)
    except (ValueError, OverflowError) as error:
        message = f"{place} holds no valid {tag_type.name} ({error}); {_CORRUPT}"
        raise TagFileError(message) from error
    index = None if number < 0 else number
    return Tag(name=tag_name, value=value, type=tag_type, index=index, offset=offset)


def _read_payload(stream: BinaryIO, size: int, place: str, field: bytes) -> bytes:
    """Read a payload, checking its length against the file before memory is asked for."""
    length = int.from_bytes(field, "little", signed=True)
    available = size - stream.tell()
    if not 0 <= length <= min(available, MAX_PAYLOAD):
        message = (
            f"{place} claims a payload of {length} bytes, but {available} bytes follow "
            f"(and at most {MAX_PAYLOAD} are read); {_CORRUPT}"
        )
        raise TagFileError(message)
    return stream.read(length)
