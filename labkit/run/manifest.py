"""The manifest of a run: what was meant, on what, by which software, and how it ended."""

import json
import platform
import re
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import ClassVar, Literal

import labkit
from analysis.yamlfile import read_mapping, why
from labkit.run.lines import is_there, write_whole

FORMAT_VERSION = 4
"""Version of the run folder's layout; `migrate` reads older ones."""

Status = Literal["running", "done", "interrupted", "failed"]
RECORDED_PACKAGES = ("numpy", "scipy", "numba", "qcodes", "pyvisa", "pyvisa-py", "xarray")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a run folder says about itself.

    Attributes
    ----------
    kind : str
        Procedure, such as ``witness``.
    experiment : dict
        The experiment as it was asked for, sequence included.
    station : str
        Text of the station file.
    comment : str
        The user's own words.
    sessions : int
        How often it was begun or resumed.
    status : {"running", "done", "interrupted", "failed"}
    reason : str
        Why it ended, if not done.
    unsafe : dict of str to str
        Instruments that were not safe at its end, and why.
    started, ended : str
        UTC, ISO 8601; `ended` is empty while it runs.
    host, user_system, versions, commit : str, str, dict, str
        Where and with what software.
    operator, sample : str
        Who measured, and what.
    tags : tuple of str
        Words to find the run by.
    files : dict of str to str
        SHA-256 of files that are written once, when the run begins.
    replay_of : str
        Name of the run that was played into this folder; "" for a measurement.
    snapshot_before, snapshot_after : dict
        Instrument settings as read at both ends.
    drift : dict of str to list
        Settings that differ between both ends: [before, after].
    format_version : int
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: str
    experiment: dict[str, object]
    station: str
    comment: str = ""
    sessions: int = 1
    status: Status = "running"
    reason: str = ""
    unsafe: dict[str, str] = field(default_factory=dict)
    started: str = ""
    ended: str = ""
    host: str = ""
    system: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    commit: str = ""
    operator: str = ""
    sample: str = ""
    tags: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    replay_of: str = ""
    snapshot_before: dict[str, object] = field(default_factory=dict)
    snapshot_after: dict[str, object] = field(default_factory=dict)
    drift: dict[str, list[object]] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def __str__(self) -> str:
        reason = f" ({self.reason})" if self.reason else ""
        return "\n".join(
            [
                f"{self.kind:<10} {self.status}{reason}",
                *([f"replay     of {self.replay_of}: no measurement"] if self.replay_of else []),
                f"started    {_second(self.started)}",
                f"ended      {_second(self.ended) or 'not yet'}",
                f"host       {self.host}, labkit {self.versions.get('labkit', '?')}",
                *([f"comment    {self.comment}"] if self.comment else []),
                *(f"NOT SAFE   {name}: {why}" for name, why in self.unsafe.items()),
            ]
        )


def _second(time: str) -> str:
    """Return a time of ISO 8601 without the part of a second, and with a blank for T."""
    return time[:19].replace("T", " ") + (" UTC" if time.endswith("+00:00") else time[26:])


def new_manifest(
    kind: str, experiment: Mapping[str, object], station: str, comment: str = ""
) -> Manifest:
    """Return the manifest of a run that begins now, with host and versions filled in."""
    return Manifest(
        kind=kind,
        experiment=dict(experiment),
        station=station,
        comment=comment,
        started=utc_now(),
        host=socket.gethostname(),
        system=platform.platform(),
        versions=_versions(),
        commit=_commit(),
    )


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write a manifest so that a reader sees the old or the new one, never half of one.

    Its last entry is the SHA-256 of the file with this entry's digits as zeros.
    """
    plain = {row.name: getattr(manifest, row.name) for row in fields(manifest)}
    plain["sha256"] = _BLANK
    text = json.dumps(plain, indent=1, default=str) + "\n"
    digest = sha256(text.encode()).hexdigest()
    write_whole(path, text.removesuffix(_end_with(_BLANK)) + _end_with(digest))


def read_manifest(path: Path) -> Manifest:
    """Read a manifest of this or an older format.

    Raises
    ------
    ValueError
        If it is no manifest, was changed after it was written, or by a newer labkit.
    """
    try:
        content = path.read_bytes() if is_there(path) else path.open("rb").read()
        _check_depth(content)
        plain = json.loads(content)
    except (OSError, ValueError) as error:
        message = f"{path}: must be the manifest of a run, but: {why(error)}"
        raise ValueError(message) from None
    if not isinstance(plain, dict):
        message = f"{path}: must be the manifest of a run, but holds a {type(plain).__name__}"
        raise ValueError(message)
    migrated = migrate(plain, path)
    if (digest := migrated.pop("sha256", None)) is not None or plain.get("format_version", 0) > 1:
        _check_digest(content, str(digest), path)
    return read_mapping(Manifest, migrated, str(path))


_BLANK = "0" * 64

DEEPEST = 50
"""How deep lists and mappings of a manifest may be nested."""


def _end_with(digest: str) -> str:
    return f' "sha256": "{digest}"\n}}\n'


def _check_digest(content: bytes, digest: str, path: Path) -> None:
    end = _end_with(digest).encode()
    blank = content.removesuffix(end) + _end_with(_BLANK).encode()
    if not content.endswith(end) or sha256(blank).hexdigest() != digest:
        message = (
            f"{path}: must be as it was when it was written, but its checksum does not match; put "
            "it back from a copy"
        )
        raise ValueError(message)


def _check_depth(content: bytes) -> None:
    """Refuse what would overflow the reader's stack, before it is read."""
    depth = 0
    for found in re.finditer(rb'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])', content, re.DOTALL):
        if found.lastindex == 1:
            depth += 1
            if depth > DEEPEST:
                message = f"lists and mappings must be nested at most {DEEPEST} deep"
                raise ValueError(message)
        elif found.lastindex == 2:
            depth -= 1


def migrate(plain: Mapping[str, object], path: Path) -> dict[str, object]:
    """Bring an older manifest to this format.

    Version 0 (before the format was numbered) lacked `format_version` and `drift`; version 1 a
    checksum, and the journal's blocks their verdicts and hashes; version 2 the pairs of shifted
    trials of the witness blocks; version 3 the parts of scans, each of whose settings was a block.
    """
    found = plain.get("format_version", 0)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= FORMAT_VERSION:
        message = (
            f"{path}: the run folder has format {found}, but this labkit reads up to "
            f"{FORMAT_VERSION}; use a newer labkit"
        )
        raise ValueError(message)
    return {"drift": {}, **plain, "format_version": FORMAT_VERSION}


def ended(manifest: Manifest, status: Status, reason: str = "") -> Manifest:
    """Return the manifest of a run that ends now."""
    return replace(manifest, status=status, reason=reason, ended=utc_now())


def drift_between(
    before: Mapping[str, object], after: Mapping[str, object]
) -> dict[str, list[object]]:
    """Return the settings that differ between two flat snapshots: name to [before, after]."""
    return {
        name: [before.get(name), after.get(name)]
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }


def utc_now() -> str:
    """Return the time now in UTC, ISO 8601, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _versions() -> dict[str, str]:
    found = {"labkit": labkit.__version__, "python": platform.python_version()}
    for name in RECORDED_PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _commit() -> str:
    """Return the git commit of labkit's checkout, or "" if it is not one."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(labkit.__file__).parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
