"""The command line, and a run folder made by hand through labkit.run for those who watch it."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from analysis.counting import count
from labkit.cli import run as run_command
from labkit.procedures.witness import witness_setting
from labkit.run import Block, RunFolder, create_run
from labkit.run.manifest import ended
from labkit.sequence.pulses import riedinger2018_sequence
from simulation.recordings.ptu import simulate_ptu
from simulation.recordings.pulses import pulsed_timing
from simulation.theory.dlcz import riedinger2018

SEQUENCE = riedinger2018_sequence()
GATES = pulsed_timing().gates
TRIALS = 60_000_000
MONITORS = {
    "locked": 1.0, "lock_output": 0.2, "temperature": 0.06, "phase_noise": 0.05,
    "pump_laser_hz": 1.9e14,
}  # fmt: skip


@pytest.fixture
def labkit(capsys):
    """Run a command; returns exit code, stdout and stderr."""

    def call(*arguments):
        code = run_command([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """Tag file and counts of one block."""
    path = tmp_path_factory.mktemp("recorded") / "block.ptu"
    simulate_ptu(path, riedinger2018(), TRIALS, seed=3)
    return path, count(path, GATES)


@dataclass(kw_only=True)
class HandMadeRun:
    """A run whose blocks last 100 s each, one after another, from Unix time 1e9."""

    folder: RunFolder
    recorded: tuple
    number: int = 0

    def add(self, *, good=True, reason="", procedure="witness", delta_phi=None, **monitors):
        tags, counts = self.recorded
        self.number += 1
        segment = self.folder.segment_path(self.number)
        segment.hardlink_to(tags)
        began, over = (
            datetime.fromtimestamp(1e9 + 100 * n, UTC).isoformat()
            for n in (self.number - 1, self.number)
        )
        setting = {"procedure": procedure}
        setting |= witness_setting(SEQUENCE) if procedure == "witness" else {}
        setting |= {} if delta_phi is None else {"delta_phi": delta_phi}
        block = Block(
            number=self.number, segment=f"tags/{segment.name}", counts=counts, good=good,
            reason=reason, monitors=MONITORS | monitors, started=began, ended=over, duration=100.0,
            setting=setting,
        )  # fmt: skip
        self.folder.journal.append(block)
        self.folder.journal.judge(self.number, good=good, reason=reason)
        return block

    def leave_out(self, block, reason):
        self.folder.journal.judge(block.number, good=False, reason=reason)

    def end(self, status, reason=""):
        self.folder.write_manifest(ended(self.folder.manifest(), status, reason))


@pytest.fixture
def make_run(tmp_path, recorded):
    def make(goal=None, kind="witness", out=tmp_path / "runs"):
        options = {"goal": goal or {"trials": 600_000_000}}
        experiment = {"sequence": SEQUENCE.to_dict(), "options": options}
        folder = create_run(out, kind, experiment, "", gates=GATES, comment="night <2>")
        return HandMadeRun(folder=folder, recorded=recorded)

    return make


@pytest.fixture
def run(make_run):
    return make_run()
