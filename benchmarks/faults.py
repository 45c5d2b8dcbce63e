"""Every fault of the virtual lab, alone and in pairs, in every phase of a run: what comes of it.

``python -m benchmarks faults`` runs all cases (hours on a slow machine; ``--scale 0.1`` a tenth,
drawn at random), adds each to ``faults.jsonl`` in the folder of the environment variable
``LABKIT_FAULTS`` (by default ``build``; cases that are there are not run again) and writes the
table ``docs/faults.md`` from all that are there. Several processes may do so at the same time: each
takes the cases that no other one has taken.
"""

import contextlib
import io
import json
import os
import random
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch
from zlib import crc32

from benchmarks.fault_table import CHANGE, Found, read_found, table
from benchmarks.timing import Row
from labkit.cli import run as labkit
from labkit.cli.run_display import RunDisplay
from labkit.experiment import read_experiment
from labkit.run import Block, RunFolder, check_run, list_runs
from labkit.run.sole_use import held
from labkit.station.config import station_path
from simulation.lab.instruments.srs_sim960 import SimulatedSIM960
from simulation.lab.servers.simulated_scpi import SimulatedScpi
from simulation.lab.world import World

BLOCK, BLOCKS = 1_000_000, 3
RESULTS = "faults.jsonl"
DARKEST, BIAS_OFFSET = 5.0, 2.1e-6
"""V at which an attenuator is darkest; A that may flow at "0" (see `PhotonSpotBias`)."""

WARM = 0.1
"""K, beyond which a block must not count."""

WIRE = ("silence", "delay", "garbage", "partial", "disconnect")
SETTINGS = {
    "afg": "OUTP1:STAT", "awg": "OUTP:STAT", "lock": "AMAN", "laser_pump": "OUTPut:STATe",
    "laser_read": "OUTPut:STATe", "daq": "Dev1/ao0", "bias": "current",
}  # fmt: skip
_LASER = (
    "OUTPut:STATe 0", "OUTPut:TRACk 0", "SOURce:CPOWer 0", "SOURce:POWer:DIODe 5",
    "SOURce:WAVElength 1550",
)  # fmt: skip
STUCK = {
    "afg": (
        "OUTP1:POL INV", "OUTP2:POL INV", "OUTP1:STAT OFF", "OUTP2:STAT OFF", "TRIG:SOUR TIM",
        "SOUR1:BURS:STAT OFF", "SOUR2:BURS:STAT OFF", "SOUR1:BURS:MODE GAT",
        "SOUR2:BURS:MODE GAT", "SOUR1:BURS:NCYC 5", "SOUR2:BURS:NCYC 5", "SOUR1:BURS:TDEL 1us",
        "SOUR2:BURS:TDEL 1us", "SOUR1:FUNC:SHAP SIN", "SOUR2:FUNC:SHAP SIN", "SOUR2:FREQ 10kHz",
        "SOUR1:PULS:PER 30us", "SOUR1:PULS:WIDT 100ns", "SOUR1:PULS:HOLD DUTY",
        "SOUR1:PULS:DEL 2us", "SOUR1:PULS:TRAN:LEAD 30ns", "SOUR1:PULS:TRAN:TRA 30ns",
        "SOUR1:VOLT:HIGH 50mV", "SOUR2:VOLT:HIGH 50mV", "SOUR1:VOLT:LOW -40mV",
        "SOUR2:VOLT:LOW -40mV", "OUTP1:IMP 1kohm", "OUTP2:IMP 1kohm", "DATA:DATA", "DATA:COPY",
        "DATA:DEF",
    ),
    "awg": (
        "FREQ:RAST 1e9", "FUNC:MODE FIX", "INIT:CONT ON", "INIT:GATE ON", "INST:SEL 2",
        "OUTP:COUP DAC", "OUTP:STAT OFF", "SEQ:ADV STEP", "SEQ:DEF", "SEQ:SEL 2", "TRAC:DEF",
        "TRAC:SEL", "TRAC:DATA", "TRIG:SOUR:ADV TIM", "TRIG:COUN 7", "VOLT:OFFS 0.2", "VOLT 0.1",
    ),
    "lock": (
        "AMAN 0", "AMAN 1", "GAIN 1.0", "ICTL 0", "INTG 2.0", "SETP 1.0", "MOUT 0.5",
        "LLIM -0.1", "ULIM 0.1", "INPT 1",
    ),
    "laser_pump": _LASER,
    "laser_read": _LASER,
    "daq": tuple(f"Dev1/ao{number}" for number in range(10)),
    "bias": ("current",),
}  # fmt: skip
"""Settings that are stuck from the start, by instrument; at a wrong value where one is given."""

KINDS = {
    "afg": (*WIRE, "error", "refuse", "stick"),
    "awg": (*WIRE, "error", "refuse", "stick"),
    "lock": (*WIRE, "refuse", "stick"),
    "laser_pump": (*WIRE, "error", "refuse", "stick"),
    "laser_read": (*WIRE, "error", "refuse", "stick"),
    "fridge": (*WIRE, "error"),
    "daq": ("delay", "disconnect", "refuse", "stick"),
    "bias": ("delay", "disconnect", "stick"),
    "power_meter": WIRE,
    "reflection_meter": WIRE,
    "timeharp": ("disconnect",),
    "wavemeter": ("disconnect",),
}
"""Faults that last, by instrument; on the wire also a single one (``once``)."""

LABORATORY: dict[str, dict[str, Any]] = {
    "lock_loss": {}, "warm_cryostat": {}, "fifo_full": {}, "dropped_events": {"duration": 60.0},
    "sync_loss": {"duration": 60.0},
    **{f"latched_detector {n}": {"target": n} for n in ("1", "2")},
    **{f"mode_hop {laser}": {"target": laser, "value": 5e9} for laser in ("pump", "read")},
    **{f"filter_drift {name}": {"target": name} for name in ("pump", "read", "1a", "2b")},
    "warm_cryostat 0.19 K": {"value": 0.19}, "splitting": {}, "read_splitting": {},
    **{f"arm_transmission {arm}": {"target": arm} for arm in "AB"},
    "laser_gain pump": {"target": "pump"}, "laser_gain read": {"target": "read", "value": 0.4},
    "polarisation_angle": {}, "polarisation_drift": {}, "arm_drift": {}, "power_drift": {},
    "modulator_sign": {}, "swapped_detectors": {}, "laser_noise": {}, "afterpulse": {},
    "recovery_time": {}, "crosstalk": {}, "stray_light_hz": {},
    "stray_light_hz 2 kHz": {"value": 2000.0},
}  # fmt: skip
PHASES = ("opening", "switching on", "locking", "measuring", "within a block", "making safe")
PAIRED = (
    "afg disconnect", "awg silence", "lock garbage", "laser_pump disconnect", "laser_read partial",
    "fridge silence", "daq disconnect", "bias disconnect", "lock_loss", "warm_cryostat",
    "latched_detector 1", "mode_hop pump", "dropped_events", "sync_loss",
)  # fmt: skip
"""Of which all pairs are tried while measuring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Faults, and the phase of a run in which they begin."""

    faults: tuple[str, ...]
    phase: str

    @property
    def name(self) -> str:
        """For people, and to know a case again."""
        return f"{' + '.join(self.faults)} | {self.phase}"


class Started:
    """The world of a station file with this factory; tells whoever waits for it."""

    last: World
    prepare: Callable[[World], object] = staticmethod(lambda _: None)

    @classmethod
    @contextmanager
    def start(cls, **options: Any) -> Iterator[World]:
        """Start a world and remember it."""
        with World.start(**options) as world:
            cls.last = world
            cls.prepare(world)
            yield world


def cases() -> list[Case]:
    """Return all cases."""
    lasting = [f"{name} {kind}" for name, kinds in KINDS.items() for kind in kinds]
    once = [
        f"{name} {kind} once"
        for name, kinds in KINDS.items()
        for kind in kinds
        if kind in ("silence", "garbage", "partial", "disconnect")
    ]
    found = [Case(faults=(f,), phase=p) for f in (*lasting, *once) for p in PHASES]
    found += [Case(faults=(fault,), phase=p) for fault in LABORATORY for p in PHASES[1:5]]
    stuck = [f"{name} stuck {setting}" for name, settings in STUCK.items() for setting in settings]
    found += [Case(faults=(fault,), phase="opening") for fault in stuck]
    return found + [Case(faults=two, phase="measuring") for two in combinations(PAIRED, 2)]


def run(scale: float) -> Iterator[Row]:
    """Run what is not there yet; give what must be zero as rows."""
    folder = Path(os.environ.get("LABKIT_FAULTS", "build"))
    folder.mkdir(parents=True, exist_ok=True)
    drawn = cases()
    random.Random(1).shuffle(drawn)
    for case in drawn[: round(scale * len(drawn))]:
        with _taken(folder, case) as is_mine:
            if is_mine and case.name not in read_found(folder / RESULTS):
                found = try_case(case)
                if found.code in (130, 143):  # somebody wants this process to end, not the run
                    sys.exit(found.code)
                line = json.dumps(asdict(found), ensure_ascii=False) + "\n"
                with (folder / RESULTS).open("ab", buffering=0) as stream:
                    stream.write(line.encode())  # whole: others add lines, too
    there = read_found(folder / RESULTS)
    all_found = [there[case.name] for case in cases() if case.name in there]
    (Path(__file__).parents[1] / "docs" / "faults.md").write_text(
        table(all_found, len(drawn)), encoding="utf-8"
    )
    for what, number in (
        ("unsafe endings that were not told", sum(one.is_silent for one in all_found)),
        ("blocks that count although the world was not right", sum(len(x.bad) for x in all_found)),
    ):
        yield Row(name=what, ratio=-number, target=0, detail=f"of {len(all_found)} cases")


@contextmanager
def _taken(folder: Path, case: Case) -> Iterator[bool]:
    """Keep a case for this process within the block; tell whether no other one has it."""
    with ExitStack() as stack:
        (folder / "taken").mkdir(exist_ok=True)
        lock = folder / "taken" / f"{crc32(case.name.encode()):08x}.lock"
        mine = True
        try:
            stack.enter_context(held(lock, "another process tries this case"))
        except RuntimeError:
            mine = False
        yield mine


def try_case(case: Case) -> Found:
    """Run a short witness with the faults of a case."""
    with TemporaryDirectory() as place, _quick(case) as trouble:
        folder = Path(place)
        station = _station(folder, case)
        plan = folder / "plan.yaml"
        plan.write_text(json.dumps(_experiment()), encoding="utf-8")
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = labkit(["run", str(plan), "--station", str(station), "--out", str(folder)])
        shouted = sorted(set(re.findall(r"NOT SAFE: (\w+):", err.getvalue())))
        return _judge(case, code, list_runs(folder), trouble, shouted)


def _judge(
    case: Case, code: int, runs: list[RunFolder], trouble: "_Trouble", shouted: list[str]
) -> Found:
    from qcodes.instrument import Instrument

    Instrument.close_all()
    blocks = runs[0].journal.read() if runs else []
    mine = [block for block in blocks if block.setting.get("procedure") == "witness"]
    good = [block for block in mine if block.good]
    wrong = trouble.wrong
    bad = [f"block {b.number}: {wrong[b.number]}" for b in good if b.number in wrong]
    bad += [f"block {b.number}: {text}" for b in good if (text := _strange_rate(b))]
    if runs and (lies := check_run(runs[0]).differences):
        bad.append(f"journal: {lies}")
    left_out = list(dict.fromkeys(block.reason for block in mine if not block.good))
    unsafe = unsafe_ports(Started.last)
    return Found(
        case=case.name, code=code, left_out=left_out, bad=bad, unsafe=unsafe, shouted=shouted,
        reason=runs[0].manifest().reason if runs else "",
        outcome=_outcome(code, left_out, trouble.told, shouted),
    )  # fmt: skip


def _outcome(code: int, left_out: list[str], told: bool, shouted: list[str]) -> str:
    if code:
        return "ended, NOT SAFE told" if shouted else "ended safely"
    if left_out:
        return "repaired, block left out"
    return "noticed and repaired" if told else "went on"


def unsafe_ports(world: World) -> list[str]:
    """Return what is not safe in the world, by the instrument that is responsible."""
    wiring = world.plant.wiring
    lock = wiring.lock.settings
    states = {
        **{f"laser_{name}": port.state.emission for name, port in wiring.laser.items()},
        "afg": any(port.drive for port in wiring.aom_drive.values()),
        "awg": any(port.drive for port in wiring.eom_drive.values()),
        "lock": lock.engaged or abs(lock.manual_output) > 1e-3,
        "snspd": any(abs(port.current) > BIAS_OFFSET for port in wiring.bias.values()),
        **{f"voa_{arm}": wiring.actuator[f"attenuator_{arm}"].voltage < DARKEST - 0.01
           for arm in "ab"},
        **{name: abs(wiring.actuator[name].voltage) > 1e-3 for name in ("stretcher", "eom_bias")},
    }  # fmt: skip
    return [name for name, unsafe in states.items() if unsafe]


def _wrong(world: World) -> str:
    """Return what is not right in the world while it measures."""
    plant = world.plant
    states = {
        "not locked": plant.interferometer.limit != 0 or not world.wiring.lock.settings.engaged,
        "warm": plant.temperature > WARM,
        "events are dropped": plant.recorder.troubles.keep < 1,
        "no sync": plant.recorder.troubles.sync_off,
        **{f"detector {n} latched": d.latched for n, d in enumerate(plant.detectors, 1)},
        **{f"{name} laser hopped": abs(plant.light.hop_hz(n)) > 0
           for n, name in enumerate(("pump", "read"))},
    }  # fmt: skip
    return ", ".join(name for name, wrong in states.items() if wrong)


_usual: list[Any] = []
"""Clicks per trial of an untroubled run, shape (gates, detectors), and where its lasers were."""


def _strange_rate(block: Block) -> str:
    """Return which click rate of a block is not that of an untroubled run."""
    now = block.counts.singles / block.counts.trials.number
    for path in ("pump", "read"):
        gate = ("pump", "read").index(path)
        for detector in (0, 1):
            usual, found = float(_usual[0][gate, detector]), float(now[gate, detector])
            noise = 5 / (max(usual, 1e-12) * block.counts.trials.number) ** 0.5
            if abs(found / usual - 1) > CHANGE + noise:
                return f"{path} rate of detector {detector + 1} is {found / usual:.2f} of the usual"
    return ""


class _Trouble:
    """Injects the faults of a case in their phase, and keeps what the world really was like.

    Attributes
    ----------
    wrong : dict of int to str
        What was not right at the end of a block that counts.
    told : bool
        Whether an alarm or a second attempt was told.
    """

    def __init__(self, case: Case) -> None:
        self._case = case
        self._folder = Path()
        self._blocks = 0
        self.wrong: dict[int, str] = {}
        self.told = False
        self._say, self._alarm = RunDisplay.say, RunDisplay.alarm

    def say(self, display: RunDisplay, text: str) -> None:
        """In place of `RunDisplay.say`."""
        self._say(display, text)
        self.told |= "since:" in text
        if text.startswith("run folder: "):
            self._folder = Path(text.removeprefix("run folder: "))
        if text.startswith("working point set"):
            self.begin("locking")
        if re.match(r"[\d,]+ trials", text):
            self._block_counts()

    def alarm(self, display: RunDisplay, text: str) -> None:
        """In place of `RunDisplay.alarm`."""
        self.told = True
        self._alarm(display, text)

    def prepare(self, world: World) -> None:
        """Before any instrument is opened."""
        self.begin("opening")
        if self._case.phase == "switching on":
            world.clock.at(1e-3, lambda: self.begin("switching on"))

    def begin(self, phase: str, delay: float = 0.0) -> None:
        """Inject the faults if this is their phase."""
        if self._case.phase == phase:
            for fault in self._case.faults:
                _inject(Started.last, fault, delay)

    def _block_counts(self) -> None:
        self._blocks += 1
        number = int(max(self._folder.glob("tags/block_*.ptu")).stem[-6:])
        if wrong := _wrong(Started.last):
            self.wrong[number] = wrong
        if self._blocks == 1:
            self.begin("measuring")
            self.begin("within a block", 20.0)


@contextmanager
def _quick(case: Case) -> Iterator[_Trouble]:
    """Run short witnesses in this process, in trouble, without what they leave on the disk."""
    from labkit.station import opening

    if not _usual and case.faults:
        _usual.extend(_untroubled())
    trouble, make_safe = _Trouble(case), opening.make_safe

    def making_safe(*given: Any, **named: Any) -> Any:
        trouble.begin("making safe")
        return make_safe(*given, **named)

    def say(display: RunDisplay, text: str) -> None:
        trouble.say(display, text)

    def alarm(display: RunDisplay, text: str) -> None:
        trouble.alarm(display, text)

    Started.prepare = staticmethod(trouble.prepare)
    with (
        patch.dict(os.environ, {"PYVISA_LIBRARY": "@py"}),
        patch.object(RunDisplay, "say", say), patch.object(RunDisplay, "alarm", alarm),
        patch.object(opening, "make_safe", making_safe),
        patch.object(opening, "watched", lambda *_: nullcontext()),
        patch("labkit.experiment.save_results", lambda *_: None),
        patch("labkit.experiment.save_report", lambda *_: None),
        patch("labkit.experiment.registered", lambda *_: nullcontext()),
        patch("labkit.station.safety.PATIENCE", 8.0),
        patch("labkit.station.safety.LATE_REPLY", 1.0), patch("labkit.cli.runs._show"),
        _sockets_only(),
    ):  # fmt: skip
        yield trouble


@contextmanager
def _sockets_only() -> Iterator[None]:
    """Numbers of pseudo-terminals are reused at once: a link opened anew could reach another's."""
    pty = getattr(os, "openpty", None)
    if pty is not None:
        del os.openpty
    try:
        yield
    finally:
        if pty is not None:
            os.openpty = pty


def _untroubled() -> tuple[Any, dict[str, float]]:
    found: list[Block] = []

    def keep(case: Case, code: int, runs: list[RunFolder], *_: object) -> None:
        blocks = runs[0].journal.read()
        found.extend(b for b in blocks if b.setting.get("procedure") == "witness")

    with patch(f"{__name__}._judge", keep):
        try_case(Case(faults=(), phase=""))
    lasers = {name: found[0].monitors[f"{name}_laser_hz"] for name in ("pump", "read")}
    return sum(block.singles / block.trials for block in found) / len(found), lasers


def _inject(world: World, fault: str, delay: float) -> None:
    name, _, rest = fault.partition(" ")
    if name in KINDS:
        kind, _, more = rest.partition(" ")
        if kind == "stuck":
            _put(world.instruments[name], more)
            world.inject(_sticking(name, more.split(" ")[0]))
            return
        plain: dict[str, Any] = {
            "instrument": name, "kind": kind, "count": 1 if more else None,
        }  # fmt: skip
        if kind == "delay":
            plain |= {"seconds": 0.02, "count": 5}
        if kind in ("refuse", "stick"):
            plain |= {"setting": SETTINGS[name]}
        if delay:
            world.clock.at(world.clock.now() + delay, lambda: world.inject(plain))
        else:
            world.inject(plain)
        return
    begin = world.clock.now() + (delay or 1.0)
    world.inject({"kind": name, "at": begin} | LABORATORY[fault])


def _sticking(name: str, setting: str) -> dict[str, Any]:
    return {"instrument": name, "kind": "stick", "count": None, "setting": setting}


def _put(instrument: Any, command: str) -> None:
    """Have an instrument obey a command that gives a value, as by its front panel."""
    if " " not in command:
        return
    if isinstance(instrument, SimulatedScpi):
        instrument.execute(command.encode())
        if instrument.errors:
            message = f"{command!r} must be a command of {instrument.idn}: {instrument.errors}"
            raise ValueError(message)
    elif isinstance(instrument, SimulatedSIM960):
        instrument.execute(command)
    else:
        instrument.open()
        instrument.exchange(command)
        instrument.close()


def _experiment() -> dict[str, Any]:
    plain = read_experiment("autopilot").to_dict()
    options: dict[str, Any] = {"goal": {"trials": BLOCKS * BLOCK}, "block": BLOCK}
    options |= {"bounds": {"temperature": [0.0, WARM]}}
    if _usual:  # what a group knows of its own lab
        rates = dict(zip(("pump", "read"), _usual[0].tolist(), strict=True))
        options |= {"rates": rates, "laser_hz": _usual[1]}
    return plain | {"kind": "witness", "compare": "", "noise_budget": False, "options": options}


def _station(folder: Path, case: Case) -> Path:
    """Write the virtual lab's file with this world; who is silent has a short time-out."""
    text = station_path("virtual").read_text(encoding="utf-8")
    text = text.replace("simulation.lab.world.World", f"{__name__}.Started")
    text = text.replace("  lock_range:", "  patience: 0.0\n  lock_range:")
    silent = {
        name
        for name, kind, *_ in ((*fault.split(" "), "") for fault in case.faults)
        if kind in WIRE
    }
    for name in silent & {"afg", "awg", "lock", "fridge", "power_meter", "reflection_meter"}:
        address = f"    address: 'world:{name}'\n"
        before, _, after = text.partition(address)
        head, brace, rest = after.partition("    init: {")
        if brace and not head:
            after = f"{brace}timeout: 0.4, {rest}"
        elif after.startswith("    init:\n"):
            after = after.replace("    init:\n", "    init:\n      timeout: 0.4\n", 1)
        else:
            after = f"    init: {{timeout: 0.4}}\n{after}"
        text = before + address + after
    path = folder / "station.yaml"
    path.write_text(text, encoding="utf-8")
    return path
