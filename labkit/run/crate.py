"""A run as one file: an RO-Crate in a zip file (``.eln``), which lab notebooks read.

Source of the form: Research Object Crate 1.1 specification; the ELN file format of The ELN
Consortium, which is an RO-Crate in a zip file with one folder at its root.
"""

import hashlib
import json
import mimetypes
import os
import shutil
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from zlib import error as ZlibError  # noqa: N812  # the library's own name is not that of an error

import labkit
from labkit.run.folder import open_run
from labkit.run.integrity import Misfit
from labkit.run.manifest import Manifest
from labkit.run.sealing import files_of, verify_run
from labkit.run.sole_use import is_in_use

METADATA, MANIFEST = "ro-crate-metadata.json", "manifest.json"

SEAL = b"sha256 "
"""Begins the zip file's comment; then follows the SHA-256 of all bytes before its digits."""

_BLANK = b"0" * 64
_END_OF_ZIP, _END_LENGTH = b"PK\5\6", 22

LARGEST_METADATA = 1 << 28
"""Bytes that are read of the metadata at most."""

MEANING = {
    "manifest.json": "experiment, pulse sequence, station, software, settings, how the run ended",
    "journal.jsonl": "one line per block: counts, hashes, verdict; each with a checksum",
    "gates.yaml": "which clicks of a trial count",
    "events.jsonl": "every step, every change of a setting and every alarm, in order",
    "result.json": "what the procedure found",
    "results.nc": "counts of the last setting",
    "report.html": "report with figures",
    "seal.json": "SHA-256 of the files at the end of the run",
}


def export_run(path: Path, to: Path | None = None) -> Path:
    """Pack a run into one file; every file in it is verified first.

    Parameters
    ----------
    path : Path
        Run folder.
    to : Path, optional
        By default the run's name with ``.eln`` beside it.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If a file is not what it was when it was written, or a process measures into the run.
    FileExistsError
        If there is such a file already.
    """
    folder = open_run(path)
    if is_in_use(folder.path):
        message = f"{path}: must have ended to be exported, but a process is measuring into it"
        raise ValueError(message)
    if misfits := verify_run(folder.path):
        message = f"{path}: cannot be exported: {'; '.join(map(str, misfits[:5]))}"
        raise ValueError(message)
    root = folder.path.resolve().name
    target = to or folder.path.resolve().with_suffix(".eln")
    if target.exists():
        message = f"{target} exists; choose another name with --to"
        raise FileExistsError(message)
    part = target.with_name(f".{target.name}.part")
    files = files_of(folder.path)
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as crate:
            entities = [_pack(crate, folder.path, root, file) for file in files]
            metadata = _metadata(root, folder.manifest(), entities)
            crate.writestr(f"{root}/{METADATA}", json.dumps(metadata, indent=1) + "\n")
            crate.comment = SEAL + _BLANK
        _seal(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def import_run(file: Path, out: Path) -> Path:
    """Unpack an exported run into a folder of runs; return its run folder.

    Raises
    ------
    ValueError
        If it is no exported run, or a file in it is not what it was.
    FileExistsError
        If there is a run of this name already.
    """
    if misfits := verify_crate(file):
        message = f"{file}: cannot be imported: {'; '.join(map(str, misfits[:5]))}"
        raise ValueError(message)
    with zipfile.ZipFile(file) as crate:
        root, members = _members(crate, file)
        target = out / root
        if target.exists():
            message = f"{target} exists; name another folder with --out"
            raise FileExistsError(message)
        part = out / f".{root}.part"
        shutil.rmtree(part, ignore_errors=True)
        out.mkdir(parents=True, exist_ok=True)
        size, free = sum(m.file_size for m in members.values()), shutil.disk_usage(out).free
        if size > free:
            message = f"{file}: needs {size:,} bytes in {out}, but there are {free:,} free"
            raise OSError(message)
        for name, member in members.items():
            place = part / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with crate.open(member) as packed, place.open("wb") as stream:
                shutil.copyfileobj(packed, stream)
        (part / METADATA).unlink()
        try:
            open_run(part)
        except ValueError:
            shutil.rmtree(part)
            raise
        part.rename(target)
    return target


def verify_crate(file: Path) -> list[Misfit]:
    """Return the files in an exported run that are not what its metadata say.

    Raises
    ------
    ValueError
        If it is no exported run.
    """
    try:
        found = _unsealed(file)
        with zipfile.ZipFile(file) as crate:
            _, members = _members(crate, file)
            said = _said(crate, members.pop(METADATA))
            found += [Misfit(file=n, what="is missing") for n in said if n not in members]
            for name, member in members.items():
                if _sha256(crate, member) != said.get(name):
                    found.append(Misfit(file=name, what="is not what the metadata say"))
    except (*_DAMAGED, OSError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"{file}: must be an exported run (RO-Crate, .eln), but: {error}"
        raise ValueError(message) from None
    return found


_DAMAGED = (zipfile.BadZipFile, ZlibError, EOFError, RuntimeError)
"""What reading a damaged zip file raises; RuntimeError, if it says that it is encrypted."""


def _said(crate: zipfile.ZipFile, metadata: zipfile.ZipInfo) -> dict[str, str]:
    """Return the SHA-256 of each file by the metadata."""
    if metadata.file_size > LARGEST_METADATA:
        message = f"its metadata have {metadata.file_size:,} bytes"
        raise zipfile.BadZipFile(message)
    try:
        graph = json.loads(crate.read(metadata))["@graph"]
    except ValueError as error:
        message = f"its metadata cannot be read: {error}"
        raise zipfile.BadZipFile(message) from None
    return {
        str(entity["@id"]).removeprefix("./"): str(entity["sha256"])
        for entity in graph
        if entity.get("@type") == "File"
    }


def _seal(file: Path) -> None:
    """Put the SHA-256 of all before it into the comment at the end of a zip file."""
    with file.open("r+b") as stream:
        stream.seek(-len(_BLANK), os.SEEK_END)
        end = stream.tell()
        digest = _sha256_until(stream, end)
        stream.seek(end)
        stream.write(digest.encode())


def _unsealed(file: Path) -> list[Misfit]:
    """Return what does not fit the seal; nothing without one, as of a zip file packed anew."""
    with file.open("rb") as stream:
        length = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, length - _END_LENGTH))
        if stream.read(4) == _END_OF_ZIP or length < len(SEAL + _BLANK):
            return []
        stream.seek(-len(SEAL + _BLANK), os.SEEK_END)
        seal = stream.read()
        digest = _sha256_until(stream, length - len(_BLANK))
    if seal == SEAL + digest.encode():
        return []
    return [Misfit(file=file.name, what="is not what it was when it was written")]


def _sha256_until(stream: BinaryIO, end: int) -> str:
    digest = hashlib.sha256()
    stream.seek(0)
    while chunk := stream.read(min(1 << 20, end - stream.tell())):
        digest.update(chunk)
    return digest.hexdigest()


def _members(crate: zipfile.ZipFile, file: Path) -> tuple[str, dict[str, zipfile.ZipInfo]]:
    """Return the folder at the root, and the files in it by their path there."""
    members = {}
    roots = set()
    for info in crate.infolist():
        path = PurePosixPath(info.filename)
        if info.is_dir():
            continue
        if (
            not path.parts
            or path.is_absolute()
            or ".." in path.parts
            or "\\" in info.filename
            or ":" in path.parts[0]
        ):
            message = f"{file}: no file may lead out of its folder, but {info.filename!r} does"
            raise ValueError(message)
        roots.add(path.parts[0])
        name = PurePosixPath(*path.parts[1:]).as_posix()
        if name in members:
            message = f"{file}: must hold every file once, but holds {info.filename!r} twice"
            raise ValueError(message)
        members[name] = info
    if len(roots) != 1 or not {METADATA, MANIFEST} <= members.keys():
        message = (
            f"{file}: must hold one folder with {METADATA} and {MANIFEST}, but holds "
            f"{sorted(roots)[:5]} without"
        )
        raise ValueError(message)
    return roots.pop(), members


def _pack(crate: zipfile.ZipFile, folder: Path, root: str, file: Path) -> dict[str, Any]:
    """Put a file into the crate; return what the metadata say of it."""
    digest, size = hashlib.sha256(), 0
    with (folder / file).open("rb") as stream, crate.open(f"{root}/{file.as_posix()}", "w") as to:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
            size += len(chunk)
            to.write(chunk)
    entity: dict[str, Any] = {
        "@id": f"./{file.as_posix()}", "@type": "File", "name": file.name,
        "contentSize": str(size), "sha256": digest.hexdigest(),
        "encodingFormat": mimetypes.guess_type(file.name)[0] or "application/octet-stream",
    }  # fmt: skip
    if file.as_posix() in MEANING:
        entity["description"] = MEANING[file.as_posix()]
    elif file.suffix == ".ptu":
        entity["description"] = "time tags of one block, PicoQuant unified tag file"
    return entity


def _sha256(crate: zipfile.ZipFile, member: zipfile.ZipInfo) -> str:
    try:
        with crate.open(member) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    except _DAMAGED:
        return ""


def _metadata(root: str, manifest: Manifest, files: list[dict[str, Any]]) -> dict[str, object]:
    """Return the JSON-LD of a crate."""
    dataset: dict[str, object] = {
        "@id": "./", "@type": "Dataset", "name": root,
        "description": manifest.comment or f"{manifest.kind} run of labkit",
        "dateCreated": manifest.started, "dateModified": manifest.ended or manifest.started,
        "datePublished": manifest.ended or manifest.started,
        "keywords": ", ".join([manifest.kind, *manifest.tags]),
        "hasPart": [{"@id": entity["@id"]} for entity in files],
        "variableMeasured": _properties(manifest),
    }  # fmt: skip
    people: list[dict[str, object]] = []
    if manifest.operator:
        dataset["author"] = {"@id": "#operator"}
        people.append({"@id": "#operator", "@type": "Person", "name": manifest.operator})
    software = [
        {"@id": f"#{name}", "@type": "SoftwareApplication", "name": name, "version": version}
        for name, version in manifest.versions.items()
    ]
    action = {
        "@id": "#measurement", "@type": "CreateAction", "name": manifest.kind,
        "startTime": manifest.started, "endTime": manifest.ended,
        "instrument": [{"@id": entity["@id"]} for entity in software],
        "result": {"@id": "./"},
    }  # fmt: skip
    descriptor = {
        "@id": METADATA, "@type": "CreativeWork", "about": {"@id": "./"},
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "sdPublisher": {"@id": "#labkit"}, "version": labkit.__version__,
    }  # fmt: skip
    return {
        "@context": "https://w3id.org/ro/crate/1.1/context",
        "@graph": [descriptor, dataset, action, *people, *software, *files],
    }


def _properties(manifest: Manifest) -> list[dict[str, object]]:
    """Return what one searches runs by."""
    said = {
        "kind": manifest.kind, "status": manifest.status, "sample": manifest.sample,
        "host": manifest.host, "commit": manifest.commit, "sessions": manifest.sessions,
    }  # fmt: skip
    return [
        {"@type": "PropertyValue", "propertyID": name, "value": value}
        for name, value in said.items()
        if value != ""
    ]
