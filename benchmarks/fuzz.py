"""Damaged tag files of every format: each must be read or refused with a message that names it.

``python -m benchmarks fuzz`` tries every truncation of one small file per format and record type,
and 100,000 mutants over all of them; each format has a process of its own, whose peak memory is
taken. Every file is opened, summarised, looked at and counted; what is raised must be a
`ValueError` that names the file, quickly and in little memory.
"""

import json
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import patch

import numpy as np

from analysis.counting import count
from analysis.first_look import look
from analysis.gates import Gate, GateSet, TrialStart
from analysis.tagfile import open_tags, summarise, write_ptu
from analysis.tagfile.conversion import convert
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import LAYOUTS, RecordLayout
from analysis.tagfile.swabian import RECORD
from benchmarks.timing import Row

MUTANTS = 100_000
SLOW = 5.0
"""Seconds that no file may take."""
MEMORY = 200.0
"""Megabytes that no process may take."""

GATES = GateSet(
    period=50e-6,
    detectors={1: 0, 2: 1},
    gates=(Gate(name="pump", start=0.0, stop=60e-9), Gate(name="read", start=123e-9, stop=183e-9)),
)
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)
EXTREME = (0, 1, -1, 2**15, 2**31 - 1, -(2**31), 2**40, 2**62, 2**63 - 1)
_LOOKED_AT = 8
"""One file in so many is also looked at without gates."""


@dataclass(slots=True)
class Tried:
    """What came of the damaged files."""

    read: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    megabytes: float = 0.0

    def add(self, other: "Tried") -> None:
        """Take in what came of further files."""
        self.read += other.read
        self.refused += other.refused
        self.failures += other.failures
        self.slowest = max(self.slowest, other.slowest)
        self.megabytes = max(self.megabytes, other.megabytes)


def seeds(folder: Path) -> dict[str, bytes]:
    """Return one small file per format and PTU record type, by its name."""
    rng = np.random.default_rng(1)
    n = 40
    times = np.sort(rng.integers(0, 30_000, n))
    channel = rng.integers(0, 2, n).astype(np.uint8)
    dtime = rng.integers(0, 800, n).astype(np.int32)
    t3 = Events(time=times, dtime=dtime, channel=channel)
    t2 = Events(time=times * 200_000, dtime=None, channel=channel)
    for layout in LAYOUTS.values():
        path = folder / f"{layout.record_type:08x}.ptu"
        events, end = (t3, 40_000) if layout.mode == "T3" else (t2, None)
        unit = 1e-12 if layout.mode == "T2" and "260 N" not in layout.device else 250e-12
        write_ptu(path, events, layout=layout, resolution=unit, sync_rate=20e3, end_time=end)
    for mode, record_type in (("t3", 0x00010305), ("t2", 0x00010205)):
        for suffix in (".h5", ".csv", ".npz", ".parquet"):
            convert(folder / f"{record_type:08x}.ptu", folder / f"{mode}{suffix}")
    found = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    return found | _old_picoquant(times, channel) | _foreign(times, channel)


def _words(layout: RecordLayout, times: np.ndarray, channel: np.ndarray) -> bytes:
    at = 28 if layout.family == "pico" else 25
    stop = np.uint32(1 << layout.time_bits)
    local = times.astype(np.uint64) * stop // 30_000  # in order, within one wrap
    dtime = 500 << (16 if layout.family == "pico" else 10) if layout.mode == "T3" else 0
    words = (channel.astype(np.uint32) << at) | local.astype(np.uint32) | dtime
    return words.astype("<u4").tobytes()


def _old_picoquant(times: np.ndarray, channel: np.ndarray) -> dict[str, bytes]:
    """Return .ht2, .ht3, .pt2, .pt3 and .t3r files: their C structs, zero but for what is read."""
    files = {}
    for mode in (2, 3):
        for version in (1, 2):
            head = bytearray(736) + struct.pack("<4iq", 20_000, 2000, 1, 0, len(times))
            head[:22] = b"HydraHarp".ljust(16, b"\0") + f"{version}.0".encode().ljust(6, b"\0")
            struct.pack_into("<4i", head, 332, 32, 0, mode, 0)
            struct.pack_into("<d", head, 352, 250.0)
            struct.pack_into("<i", head, 664, 2)
            record_type = (0x00010004 if version == 1 else 0x01010004) | mode << 8
            words = _words(LAYOUTS[record_type], times, channel)
            files[f"v{version}.ht{mode}"] = bytes(head) + words
        head = bytearray(22 + 310) + struct.pack("<5i", 32, 4, 1, 0, mode) + bytes(184 + 28)
        head[:22] = b"PicoHarp 300".ljust(16, b"\0") + b"2.0".ljust(6, b"\0")
        head += struct.pack("<5if2i", 4, 0, 0, 0, 0, 0.25, 0, 0) + bytes(96)
        head += struct.pack("<i8s6i", 0, b"", 20_000, 0, 2000, 1, len(times), 0)
        files[f"a.pt{mode}"] = bytes(head) + _words(LAYOUTS[0x00010003 | mode << 8], times, channel)
    head = bytearray(b"TimeHarp 200".ljust(16, b"\0") + b"5.0".ljust(6, b"\0") + bytes(282))
    head += struct.pack("<7i", 4096, 0, 32, 1, 1, 0, 2) + bytes(184)
    head += struct.pack("<5if", 76, 20, 50, -300, 0, 0.07)
    head += struct.pack("<i24s6i", 100, b"", 5_000_000, 0, 2000, 1, len(times), 0)
    photons = 1 << 30 | channel.astype(np.uint32) << 28 | 100 << 16 | times.astype(np.uint32)
    return files | {"a.t3r": bytes(head) + photons.astype("<u4").tobytes()}


def _foreign(times: np.ndarray, channel: np.ndarray) -> dict[str, bytes]:
    """Return files of other makers, which are only read."""
    rows = list(zip(times.tolist(), channel.tolist(), strict=True))
    dump = b"".join(struct.pack("<BBHiq", 0, 0, 0, c + 1, 50_000_000 * t) for t, c in rows)
    qutag = bytes(40) + b"".join(struct.pack("<qH", 50_000_000 * t, c) for t, c in rows)
    text = "".join(f"{50_000_000 * t};{c}\n" for t, c in rows).encode()
    spc = struct.pack("<I", 0x80000000 | 95)
    spc += b"".join(struct.pack("<I", c << 12 | 100 << 16 | t // 8) for t, c in rows)
    return {
        "a.dump": dump, "a.qutag": qutag, "a.txt": text, "a.spc": spc, "a.ttbin": _TTBIN + dump,
    }  # fmt: skip


_TTBIN = b"stand-in"


class StandInReader:
    """Stands in for the vendor's reader of .ttbin files, whose layout is not public.

    It takes a word and the records of a dump, refuses what it does not know as the vendor's does
    (`RuntimeError`), and passes on whatever else the damaged records say.
    """

    def __init__(self, path: str) -> None:
        data = Path(path).read_bytes()
        if not data.startswith(_TTBIN):
            message = f"not a Time Tagger file: {data[:8]!r}"
            raise RuntimeError(message)
        body = data[len(_TTBIN) :]
        self._left = np.frombuffer(body[: len(body) // RECORD.itemsize * RECORD.itemsize], RECORD)

    def hasData(self) -> bool:  # noqa: N802  # the vendor's name
        """Tell whether there are more records."""
        return len(self._left) > 0

    def getData(self, n_events: int) -> SimpleNamespace:  # noqa: N802  # the vendor's name
        """Return the next records in a buffer like the vendor's."""
        part, self._left = self._left[:n_events], self._left[n_events:]
        return SimpleNamespace(
            size=len(part),
            getEventTypes=lambda: part["type"],
            getMissedEvents=lambda: part["missed"],
            getChannels=lambda: part["channel"],
            getTimestamps=lambda: part["time"],
        )


def truncations(data: bytes, every: int = 1) -> Iterator[bytes]:
    """Yield every beginning of a file, or one in so many; one at a time, for they are large."""
    return (data[:length] for length in range(0, len(data), every))


def mutants(data: bytes, number: int, rng: np.random.Generator) -> Iterator[bytes]:
    """Yield damaged copies: bytes replaced, numbers made extreme, parts removed or doubled."""
    for _ in range(number):
        copy = bytearray(data)
        for _ in range(int(rng.integers(1, 5))):
            at, length = int(rng.integers(len(copy))), int(rng.integers(1, 9))
            _damage(copy, int(rng.integers(6)), at, length, rng)
            if not copy:
                copy = bytearray(data[:1])
        yield bytes(copy)


def _damage(copy: bytearray, kind: int, at: int, length: int, rng: np.random.Generator) -> None:
    if kind == 0:
        copy[at] = int(rng.integers(256))
    elif kind == 1:
        copy[at] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        copy[at : at + length] = bytes([int(rng.choice(INTERESTING))]) * length
    elif kind == 3 and len(copy) > length + 1:
        del copy[at : at + length]
    elif kind == 4:
        extreme = EXTREME[int(rng.integers(len(EXTREME)))] & (2**64 - 1)
        copy[at : at + length] = extreme.to_bytes(8, "little")[:length]
    else:
        copy[at:at] = copy[at : at + length]


def try_file(path: Path, tried: Tried, *, looked: bool = False) -> None:
    """Open, summarise and count one file; look at it too if asked to."""
    began = time.perf_counter()
    try:
        source = open_tags(path)
        if looked:
            look(source)
        else:
            summarise(source)
        kind = TrialStart() if source.layout.mode == "T3" else TrialStart(kind="clock", t0=0.0)
        plain = GATES.to_dict() | {"trial": kind.to_plain()}
        if source.counts_syncs:
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


SETTINGS = b"\x8d\x02" + bytes(40) + b"#SP [SP_TAC_R,F,5e-08]\n#SP [SP_TAC_G,I,5]\n"
"""A settings file beside the .spc file, as the maker's software writes it."""


def fuzz(
    data: bytes, name: str, number: int, *, seed: int = 1, every: int = 1, whole: bool = False
) -> Tried:
    """Try one in `every` truncation of a file (or the whole of it), and `number` mutants."""
    tried = Tried()
    rng = np.random.default_rng([seed, *name.encode()])
    stand_in = ModuleType("TimeTagger")
    vars(stand_in)["FileReader"] = StandInReader
    with patch.dict(sys.modules, TimeTagger=stand_in), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.with_suffix(".set").write_bytes(SETTINGS)
        cut = iter([data]) if whole else truncations(data, every)
        for kind in (cut, mutants(data, number, rng)):
            for turn, damaged in enumerate(kind):
                path.write_bytes(damaged)
                try_file(path, tried, looked=turn % _LOOKED_AT == 0)
    tried.megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return tried


def run(scale: float = 1.0) -> list[Row]:
    """Try all formats, each in its own process; `scale` is the part of the mutants and truncations.

    A failure names the file and what happened, and makes the run fall short.
    """
    with tempfile.TemporaryDirectory() as folder:
        names = list(seeds(Path(folder)))
    total = Tried()
    number = max(round(MUTANTS * scale) // len(names) + 1, 1)
    every = max(round(1 / scale), 1)
    for name in names:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.fuzz", name, str(number), str(every)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        tried = Tried(**json.loads(done.stdout))
        total.add(tried)
        print(
            f"  {name:<14}{tried.read:>7} read {tried.refused:>7} refused {len(tried.failures):>4} "
            f"failed, slowest {tried.slowest:.2f} s, {tried.megabytes:.0f} MB",
            *tried.failures[:10],
            sep="\n    ",
            flush=True,
        )
    tries = total.read + total.refused
    return [
        Row(name="fuzz: damaged files / those neither read nor named", target=tries,
            ratio=tries / max(len(total.failures), 1),
            detail=f"{total.read} read, {total.refused} refused, {len(total.failures)} failures"),
        Row(name="fuzz: 5 s / slowest file", ratio=SLOW / total.slowest, target=1,
            detail=f"{total.slowest:.2f} s"),
        Row(name="fuzz: 200 MB / peak of a process", ratio=MEMORY / total.megabytes, target=1,
            detail=f"{total.megabytes:.0f} MB, imports included"),
    ]  # fmt: skip


def main(name: str, number: str, every: str) -> None:
    """Try one format and print what came of it as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        data = seeds(Path(folder))[name]
    print(json.dumps(asdict(fuzz(data, name, int(number), every=int(every)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
