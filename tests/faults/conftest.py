"""Short witness runs at the virtual lab in which something goes wrong, and what came of it."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from qcodes.instrument import Instrument

from analysis.yamlfile import read_yaml
from labkit.experiment import Experiment, experiment_from_dict, run_experiment
from labkit.run import RunFolder, check_run
from labkit.run.progress import Narrator
from labkit.station.config import station_path
from labkit.station.ending import Terminated, said
from simulation.lab.world import World

AUTOPILOT = Path(__file__).parents[2] / "labkit" / "experiments" / "autopilot.yaml"
BLOCK = 1_000_000
DARKEST, BIAS_OFFSET = 5.0, 2.1e-6
"""V at which an attenuator is darkest; A that may flow at "0" (see `PhotonSpotBias`)."""

FAULT = dict[str, Any]


@dataclass(kw_only=True)
class Outcome:
    """What came of a run: its error, its folder, the world it left, who was shouted."""

    world: World
    folder: RunFolder
    error: BaseException | None
    shouted: dict[str, str]
    said: list[str] = field(default_factory=list)

    @property
    def left_out(self) -> list[str]:
        return [block.reason for block in self.folder.journal.read() if not block.good]

    def unsafe_ports(self) -> dict[str, str]:
        """Return what is not safe in the world, by the instrument that is responsible."""
        wiring = self.world.plant.wiring
        locked = wiring.lock.settings.engaged or abs(wiring.lock.settings.manual_output) > 1e-3
        states = {
            **{f"laser_{n}": port.state.emission for n, port in wiring.laser.items()},
            "afg": any(port.drive for port in wiring.aom_drive.values()),
            "awg": any(port.drive for port in wiring.eom_drive.values()),
            "lock": locked,
            "snspd": any(abs(port.current) > BIAS_OFFSET for port in wiring.bias.values()),
            **{f"voa_{arm}": wiring.actuator[f"attenuator_{arm}"].voltage < DARKEST - 0.01
               for arm in "ab"},
            **{name: abs(wiring.actuator[name].voltage) > 1e-3
               for name in ("stretcher", "eom_bias")},
        }  # fmt: skip
        return {name: "is not safe" for name, unsafe in states.items() if unsafe}

    def check(self) -> None:
        """What must hold whatever happened."""
        manifest = self.folder.manifest()
        ended = "interrupted" if isinstance(self.error, KeyboardInterrupt) else "failed"
        assert manifest.status == (ended if self.error else "done")
        assert bool(manifest.reason) == bool(self.error)
        assert check_run(self.folder).differences == {}
        unsafe = self.unsafe_ports()
        assert set(unsafe) <= set(self.shouted), f"unsafe, but nobody was told: {unsafe}"

    def __str__(self) -> str:
        if self.error is not None:
            text = f"ends: {said(self.error)}"
        elif self.left_out:
            text = f"repaired; left out: {'; '.join(dict.fromkeys(self.left_out))}"
        else:
            text = "goes on"
        if self.shouted:
            text += f" | shouted: {', '.join(self.shouted)}"
        really = list(self.unsafe_ports())
        return text + (f" | left unsafe: {', '.join(really)}" if really else "")


def experiment(
    kind: str = "witness", blocks: int = 3, block: int = BLOCK, *, as_published: bool = False
) -> Experiment:
    plain: Any = read_yaml(AUTOPILOT)
    witness = {"goal": {"trials": blocks * block}, "block": block, "as_published": as_published}
    options = witness if kind == "witness" else {}
    whole = plain | {"kind": kind, "options": options, "noise_budget": False}
    return experiment_from_dict(whole, "test", AUTOPILOT.parent)


@pytest.fixture
def worlds(monkeypatch: pytest.MonkeyPatch) -> list[World]:
    """Every world that a station file with the factory ``fault_worlds.Start`` has started."""
    started: list[World] = []
    # Numbers of pseudo-terminals are reused at once, also by tests in other processes: a link that
    # is opened anew could reach another world's instrument. Sockets have no such mix-up.
    monkeypatch.delattr("os.openpty", raising=False)

    class Start:
        prepare: Callable[[World], object] = staticmethod(lambda _: None)

        @classmethod
        @contextmanager
        def start(cls, **options: Any) -> Iterator[World]:
            with World.start(**options) as world:
                started.append(world)
                cls.prepare(world)
                yield world

    module = ModuleType("fault_worlds")
    module.Start = Start  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fault_worlds", module)
    return started


@pytest.fixture
def station(tmp_path: Path) -> Callable[..., Path]:
    """Write the virtual lab's station file with its world recorded; one timeout may be short."""

    def write(*edits: tuple[str, str], impatient: str = "") -> Path:
        text = station_path("virtual").read_text(encoding="utf-8")
        pairs = [
            ("simulation.lab.world.World", "fault_worlds.Start"),
            ("  lock_range:", "  patience: 0.0\n  lock_range:"),
            *edits,
        ]
        if f"address: 'world:{impatient}'" in text and not impatient.startswith("laser"):
            address = f"    address: 'world:{impatient}'\n"
            begins = f"{address}    init:"
            block, one_line = f"{begins}\n", f"{begins} {{"
            if block in text:
                pairs.append((block, f"{block}      timeout: 0.4\n"))
            elif one_line in text:
                pairs.append((one_line, f"{one_line}timeout: 0.4, "))
            else:
                pairs.append((address, f"{address}    init: {{timeout: 0.4}}\n"))
        for old, new in pairs:
            assert old in text, old
            text = text.replace(old, new)
        path = tmp_path / "station.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def short_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    worlds: list[World],
    station: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Callable[..., Outcome]]:
    """Run a short witness; inject a fault while switching on, or after the first block."""
    monkeypatch.setenv("PYVISA_LIBRARY", "@py")
    monkeypatch.setattr("labkit.station.opening.watched", lambda *_: nullcontext())
    monkeypatch.setattr("labkit.station.safety.LATE_REPLY", 1.0)
    monkeypatch.setattr("labkit.experiment.save_results", lambda *_: None)
    monkeypatch.setattr("labkit.experiment.save_report", lambda *_: None)
    monkeypatch.setattr("labkit.experiment.registered", lambda *_: nullcontext())

    def run(
        *faults: FAULT,
        when: str = "measuring",
        impatient: str = "",
        forced: tuple[str, ...] = (),
        **shape: Any,
    ) -> Outcome:
        said: list[str] = []
        start: Any = sys.modules["fault_worlds"].Start  # type: ignore[attr-defined]

        def inject(world: World) -> None:
            for fault in faults:
                begin = {"at": world.clock.now() + fault["at"]} if "at" in fault else {}
                world.inject(fault | begin)

        def say(text: str) -> None:
            if when == "measuring" and not _blocks(said) and _blocks([text]):
                inject(worlds[-1])
            said.append(text)

        if when == "switching on":
            start.prepare = staticmethod(lambda w: w.clock.at(1e-3, lambda: inject(w)))
        error = None
        try:
            run_experiment(
                experiment(**shape),
                station(impatient=impatient),
                tmp_path,
                forced=forced,
                watcher=Narrator(say),
            )
        except (Exception, KeyboardInterrupt, Terminated) as ended:  # whatever it is: the outcome
            error = ended
        shouted = dict(re.findall(r"NOT SAFE: (\w+): (.*)", capsys.readouterr().err))
        folder = RunFolder(path=Path(said[0].removeprefix("run folder: ")))
        return Outcome(world=worlds[-1], folder=folder, error=error, shouted=shouted, said=said)

    yield run
    Instrument.close_all()


@pytest.fixture
def quick_station(
    monkeypatch: pytest.MonkeyPatch, worlds: list[World], station: Callable[..., Path]
) -> Iterator[Path]:
    """A station file for whole experiments in this process."""
    monkeypatch.setenv("PYVISA_LIBRARY", "@py")
    monkeypatch.setattr("labkit.experiment.save_results", lambda *_: None)
    monkeypatch.setattr("labkit.experiment.save_report", lambda *_: None)
    monkeypatch.setattr("labkit.experiment.registered", lambda *_: nullcontext())
    yield station()
    Instrument.close_all()


@pytest.fixture
def witness_file(tmp_path: Path) -> Callable[..., Path]:
    """Write the file of a short experiment."""

    def write(kind: str = "witness", blocks: int = 3, **options: Any) -> Path:
        plan = experiment(kind, blocks).to_dict()
        path = tmp_path / f"{kind}.yaml"
        plan["options"] = options or plan["options"]
        path.write_text(json.dumps(plan), encoding="utf-8")  # JSON is YAML
        return path

    return write


def _blocks(said: list[str]) -> list[str]:
    return [text for text in said if re.match(r"[\d,]+ trials", text)]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print fault × outcome, also if the tests ran in several processes."""
    rows = [
        value
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == "fault table"
    ]
    if rows:
        terminalreporter.section("faults × outcomes")
        for fault, when, outcome in sorted(rows):
            terminalreporter.write_line(f"{fault:<34} {when:<13} {outcome}")
