"""The manifest of a run: what was meant, on what, by which software, and how it ended."""

import json
import os
import platform
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import labkit
from analysis.yamlfile import read_mapping

FORMAT_VERSION = 1
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
    started, ended : str
        UTC, ISO 8601; `ended` is empty while it runs.
    host, user_system, versions, commit : str, str, dict, str
        Where and with what software.
    snapshot_before, snapshot_after : dict
        Instrument settings as read at both ends.
    drift : dict of str to list
        Settings that differ between both ends: [before, after].
    format_version : int
    """

    kind: str
    experiment: dict[str, object]
    station: str
    comment: str = ""
    sessions: int = 1
    status: Status = "running"
    reason: str = ""
    started: str = ""
    ended: str = ""
    host: str = ""
    system: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    commit: str = ""
    snapshot_before: dict[str, object] = field(default_factory=dict)
    snapshot_after: dict[str, object] = field(default_factory=dict)
    drift: dict[str, list[object]] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def __str__(self) -> str:
        reason = f" ({self.reason})" if self.reason else ""
        return "\n".join(
            [
                f"{self.kind:<10} {self.status}{reason}",
                f"started    {self.started}",
                f"ended      {self.ended or 'not yet'}",
                f"host       {self.host}, labkit {self.versions.get('labkit', '?')}",
                *([f"comment    {self.comment}"] if self.comment else []),
            ]
        )


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
    """Write a manifest so that a reader sees the old or the new one, never half of one."""
    write_whole(path, json.dumps(asdict(manifest), indent=1, default=str) + "\n")


def read_manifest(path: Path) -> Manifest:
    """Read a manifest of this or an older format.

    Raises
    ------
    ValueError
        If it is no manifest, or was written by a newer labkit.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        message = f"{path}: must be the manifest of a run, but: {error}"
        raise ValueError(message) from None
    if not isinstance(plain, dict):
        message = f"{path}: must be the manifest of a run, but holds a {type(plain).__name__}"
        raise ValueError(message)
    return read_mapping(Manifest, migrate(plain, path), str(path))


def migrate(plain: Mapping[str, object], path: Path) -> dict[str, object]:
    """Bring an older manifest to this format.

    Version 0 (before the format was numbered) lacked `format_version` and `drift`.
    """
    found = plain.get("format_version", 0)
    if not isinstance(found, int) or found > FORMAT_VERSION:
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


def write_whole(path: Path, text: str) -> None:
    """Replace a file's text at once and bring it to the disk."""
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


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
