"""Damaged tag files of every format: each must be read or refused with a message that names it.

Run it with ``python -m benchmarks.fuzz [MUTANTS]``. Every truncation of one small file per format,
and as many mutants as asked for, are opened, summarised and counted; what is raised must be a
`TagFileError` or another `ValueError` that names the file, quickly and in little memory.
"""

import resource
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from analysis.counting import count
from analysis.gates import Gate, GateSet, TrialStart
from analysis.tagfile import open_tags, summarise, write_ptu
from analysis.tagfile.conversion import convert
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import LAYOUTS

MUTANTS = 100_000
SLOW = 5.0
"""Seconds that no file may take."""

GATES = GateSet(
    period=50e-6,
    detectors={1: 0, 2: 1},
    gates=(Gate(name="pump", start=0.0, stop=60e-9), Gate(name="read", start=123e-9, stop=183e-9)),
)
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)


@dataclass(slots=True)
class Tried:
    """What came of the damaged files."""

    read: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0


def seeds(folder: Path) -> dict[str, bytes]:
    """Return one small file per format, by its name."""
    rng = np.random.default_rng(1)
    n = 40
    times = np.sort(rng.integers(0, 30_000, n))
    channel = rng.integers(0, 2, n).astype(np.uint8)
    events = Events(time=times, dtime=rng.integers(0, 800, n).astype(np.int32), channel=channel)
    t3, t2 = folder / "t3.ptu", folder / "t2.ptu"
    write_ptu(t3, events, sync_rate=20e3, end_time=40_000)
    flat = Events(time=times * 200_000, dtime=None, channel=channel)
    write_ptu(t2, flat, layout=LAYOUTS[0x00010205], sync_rate=20e3)
    for source in (t3, t2):
        for suffix in (".h5", ".csv", ".npz", ".parquet"):
            convert(source, source.with_suffix(suffix))
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    return found | _foreign(times, channel)


def _foreign(times: np.ndarray, channel: np.ndarray) -> dict[str, bytes]:
    """Return files in the formats that are only read."""
    rows = list(zip(times.tolist(), channel.tolist(), strict=True))
    words = struct.pack(f"<{len(rows)}I", *(c << 25 | 500 << 10 | t % 1024 for t, c in rows))
    hydra = bytearray(696) + bytes(40) + struct.pack("<4iq", 20_000, 2000, 1, 0, len(rows))
    hydra[:22] = b"HydraHarp".ljust(16, b"\0") + b"2.0".ljust(6, b"\0")
    struct.pack_into("<4i", hydra, 332, 32, 0, 3, 0)
    struct.pack_into("<d", hydra, 352, 250.0)
    struct.pack_into("<i", hydra, 664, 2)
    dump = b"".join(struct.pack("<BBHiq", 0, 0, 0, c + 1, 50_000_000 * t) for t, c in rows)
    qutag = bytes(40) + b"".join(struct.pack("<qH", 50_000_000 * t, c) for t, c in rows)
    text = "".join(f"{50_000_000 * t};{c}\n" for t, c in rows).encode()
    spc = struct.pack("<I", 0x80000000 | 95)
    spc += b"".join(struct.pack("<I", c << 12 | 100 << 16 | t // 8) for t, c in rows)
    return {"a.ht3": bytes(hydra) + words, "a.dump": dump, "a.qutag": qutag, "a.txt": text} | {
        "a.spc": spc
    }


def truncations(data: bytes) -> Iterator[bytes]:
    """Yield every beginning of a file."""
    return (data[:length] for length in range(len(data)))


def mutants(data: bytes, number: int, rng: np.random.Generator) -> Iterator[bytes]:
    """Yield damaged copies: bytes replaced, parts removed, doubled or filled."""
    for _ in range(number):
        copy = bytearray(data)
        for _ in range(int(rng.integers(1, 5))):
            at = int(rng.integers(len(copy)))
            length = int(rng.integers(1, 9))
            kind = int(rng.integers(5))
            if kind == 0:
                copy[at] = int(rng.integers(256))
            elif kind == 1:
                copy[at] ^= 1 << int(rng.integers(8))
            elif kind == 2:
                copy[at : at + length] = bytes([int(rng.choice(INTERESTING))]) * length
            elif kind == 3 and len(copy) > length + 1:
                del copy[at : at + length]
            else:
                copy[at:at] = copy[at : at + length]
            if not copy:
                copy = bytearray(data[:1])
        yield bytes(copy)


def try_file(path: Path, tried: Tried) -> None:
    """Open, summarise and count one file."""
    began = time.perf_counter()
    try:
        source = open_tags(path)
        summarise(source)
        kind = TrialStart() if source.layout.mode == "T3" else TrialStart(kind="clock", t0=0.0)
        plain = GATES.to_dict() | {"trial": kind.to_plain()}
        count(source, GateSet.from_dict(plain))
        tried.read += 1
    except ValueError as error:
        tried.refused += 1
        if path.stem not in str(error):
            tried.failures.append(f"{path.name}: does not name the file: {error}")
    except Exception as error:  # what must never come
        tried.failures.append(f"{path.name}: {type(error).__name__}: {error}")
    taken = time.perf_counter() - began
    tried.slowest = max(tried.slowest, taken)
    if taken > SLOW:
        tried.failures.append(f"{path.name}: took {taken:.1f} s")


def fuzz(
    number: int, *, seed: int = 1, every: int = 1, say: Callable[[str], None] | None = None
) -> Tried:
    """Try truncations (one in `every`) and about `number` mutants over all formats."""
    total = Tried()
    with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory() as used:
        files = seeds(Path(made))
        settings = b"\x8d\x02" + bytes(40) + b"#SP [SP_TAC_R,F,5e-08]\n#SP [SP_TAC_G,I,5]\n"
        (Path(used) / "a.set").write_bytes(settings)
        for name, data in files.items():
            rng = np.random.default_rng([seed, *name.encode()])
            tried = Tried()
            for kind in (
                list(truncations(data))[::every],
                mutants(data, number // len(files), rng),
            ):
                for damaged in kind:
                    path = Path(used) / name
                    path.write_bytes(damaged)
                    try_file(path, tried)
            if say is not None:
                say(
                    f"{name:<12}{tried.read:>8} read{tried.refused:>8} refused, "
                    f"slowest {tried.slowest:.3f} s, {len(tried.failures)} failures"
                )
            total.read += tried.read
            total.refused += tried.refused
            total.failures += tried.failures
            total.slowest = max(total.slowest, tried.slowest)
    return total


def main(number: int = MUTANTS) -> int:
    """Run the whole and print it; return 1 if anything failed."""
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    total = fuzz(number, say=print)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{total.read} read, {total.refused} refused, {len(total.failures)} failures; slowest "
        f"{total.slowest:.3f} s; memory {base / 1024:.0f} to {peak / 1024:.0f} MiB"
    )
    for line in total.failures[:40]:
        print(line)
    return int(bool(total.failures))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else MUTANTS))
