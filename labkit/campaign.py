"""All runs of a campaign as data for `simulation.inference`: what each block was measured at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import isclose, pi
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.counts import Counts
from analysis.counts_file import WitnessCounts, witness_counts
from analysis.evidence import load_evidence
from analysis.yamlfile import read_mapping
from labkit.acting import acting_phase, pulse_energy
from labkit.compiler.programs import Calibration
from labkit.procedures import options_of
from labkit.procedures.null_test import PUMP_LEVEL, NullTestOptions, laser_sequence
from labkit.procedures.pump_probe import probe_on_upper_sideband
from labkit.procedures.session import CLOSED
from labkit.run import Block, RunFolder, open_run
from labkit.run.journal import sum_of
from labkit.run.manifest import Manifest
from labkit.sequence import Pulse, PulseSequence
from labkit.sequence.timing import Hardware
from simulation.inference.data import Campaign, Record, blocked_arm_events
from simulation.inference.setting import Setting
from simulation.theory.dlcz import DLCZParameters

Real = NDArray[np.float64]
Plain = Mapping[str, Any]
Arms = tuple[float, float]

CLEAR = 20e-9
"""Clicks earlier than this before the first gate are no light of its pulse, s."""

BLOCKED = 0.01
"""Energy relative to the reference below which an arm counts as closed."""

UNKNOWN = (0.0, 0.0)
"""Transmissions of attenuators that the manifest does not tell."""

CLOCK = "campaign"
"""Of all run folders: what drifts from run to run, drifts slowly."""

READ = (
    "witness", "phase_sweep", "delay_sweep", "g2", "pump_probe", "thermometry", "splitting",
    "stray_light", "null_test",
)  # fmt: skip
"""Procedures whose blocks are understood."""

LIGHTS: Mapping[str, tuple[str, ...]] = {
    "thermometry": ("stokes", "anti_stokes", "background"),
    "splitting": ("both", "pump", "leaks"),
    "stray_light": ("leaks", "closed"),
    "null_test": ("laser", "bright laser", "unheralded"),
}
"""Of a procedure with several kinds of light, those that are understood."""

BESIDE = ("background", "leaks")
"""Lights for which the filters stand beside the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Played:
    """What a block played: its sequence, which arms were open, where the filters stood."""

    data_set: str
    sequence: PulseSequence
    arms: str = "AB"
    on_line: bool = True
    laser: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Run:
    """A run folder as the reader needs it.

    `arms` has both attenuators in each of its blocks; `usual` are those of its setting, or those
    that are given, if it is the reference.
    """

    name: str
    sequence: PulseSequence
    options: Any
    blocks: list[Block]
    arms: list[Arms]
    usual: Arms = UNKNOWN
    hardware: Hardware
    calibration: Calibration | None
    skipped: set[str] = field(default_factory=set)
    energies: dict[Pulse, float] = field(default_factory=dict)
    phases: dict[tuple[float, float], float] = field(default_factory=dict)

    def energy(self, pulse: Pulse) -> float:
        """Return a pulse's energy, worked out once."""
        if pulse not in self.energies:
            self.energies[pulse] = pulse_energy(pulse, self.hardware.aom_rise)
        return self.energies[pulse]

    def phase(self, sequence: PulseSequence) -> float:
        """Return the phase offset that acts, worked out once; the asked one if not known."""
        asked = sequence.pulse("read").phase
        if self.calibration is None:
            return asked
        at = (asked, sequence.delay)
        if at not in self.phases:
            self.phases[at] = acting_phase(sequence, self.hardware, self.calibration)
        return self.phases[at]


def read_campaign(
    runs: Sequence[str | Path],
    preset: DLCZParameters,
    counts: Sequence[str | Path] = (),
    g2: Mapping[str, tuple[float, float]] | None = None,
    arms: tuple[float, float] | None = None,
) -> tuple[Campaign, tuple[str, ...]]:
    """Read run folders, and counts files of the preset's setting.

    The reference setting is that of the first run with witness blocks, otherwise of the first run.
    Pulse energies are those of the shapes as the modulators smooth them, relative to it, and follow
    the attenuators that the manifests tell.

    Parameters
    ----------
    runs : sequence of path
        Run folders.
    preset : DLCZParameters
        Its delay and phase hold for counts files.
    counts : sequence of path
        Files as `analysis.evidence.load_evidence` reads them; ``FILE@RAD`` for those of another Δφ.
    g2 : mapping of str to (float, float), optional
        Blocked-arm g² by device: most probable value and events (`blocked_arm_events`).
    arms : tuple of float, optional
        Transmissions of the attenuators A, B to which energies are relative; by default those of
        the reference run.

    Returns
    -------
    campaign : Campaign
    remarks : tuple of str
        What was not used.

    Raises
    ------
    ValueError
        If a run has no pump and read pulse, or nothing is left to infer from.
    """
    read = [_run(open_run(Path(path))) for path in runs]
    first = next((run for run in read if _has_witness(run)), read[0] if read else None)
    remarks: list[str] = []
    records: list[Record] = []
    if first is None:
        reference, levels, ratio = _setting_of_preset(preset), {}, None
    else:
        first = replace(first, usual=_usual_arms(first) if arms is None else arms)
        arms = first.usual
        pump, read_pulse = (first.sequence.pulse(name) for name in ("pump", "read"))
        reference = Setting(
            delay=first.sequence.delay, delta_phi=_phase_of(first), gates=_gates(first.sequence)
        )
        levels = {"pump": pump.level, "read": read_pulse.level}
        ratio = first.energy(read_pulse) / first.energy(pump)
        for run, begin in zip(read, _beginnings(read), strict=True):
            records += [_dated(record, begin) for record in _records(run, first)]
            if run.skipped:
                remarks.append(f"{run.name}: not used: blocks of {', '.join(sorted(run.skipped))}")
            if UNKNOWN in run.arms:
                remarks.append(f"{run.name}: attenuators not known, taken as in {first.name}")
    for path in counts:
        records += _of_counts(path, reference if first else _setting_of_preset(preset))
    records += [blocked_arm_events(x, *values, reference) for x, values in (g2 or {}).items()]
    if not records:
        message = (
            f"the runs must hold good blocks of {', '.join(READ)}, but hold none; nothing can be "
            "inferred"
        )
        raise ValueError(message)
    campaign = Campaign(
        records=tuple(records), reference=reference, levels=levels, read_over_pump=ratio,
        arms=None if arms == UNKNOWN else arms,
    )  # fmt: skip
    return campaign, tuple(remarks)


def _beginnings(runs: Sequence[_Run]) -> list[float]:
    """Return when runs began, s from the first on: by the wall, but none before another's end.

    A virtual lab's trials take no time by the wall.
    """
    walls = [_wall(run) for run in runs]
    found, end = [0.0] * len(runs), 0.0
    for number in sorted(range(len(runs)), key=lambda n: walls[n]):
        found[number] = max(walls[number] - min(walls), end)
        end = found[number] + sum(b.trials * b.gates.period for b in runs[number].blocks)
    return found


def _wall(run: _Run) -> float:
    """Return when a run's first block was begun, s since 1970; 0 if it does not tell."""
    began = next((block.started for block in run.blocks if block.started), None)
    return datetime.fromisoformat(began).timestamp() if began else 0.0


def _dated(record: Record, begin: float) -> Record:
    spans = tuple((begin + first, begin + last) for first, last in record.spans)
    return replace(record, spans=spans, clock=CLOCK)


def _run(folder: RunFolder) -> _Run:
    manifest = folder.manifest()
    plain = manifest.experiment
    where = str(folder.manifest_path)
    sequence = PulseSequence.from_dict(plain if "pulses" in plain else plain.get("sequence"),
                                       where=where)  # fmt: skip
    names = {pulse.name for pulse in sequence.pulses}
    if not {"pump", "read"} <= names:
        message = (
            f"{where}: the sequence must have a pump and a read pulse, but has "
            f"{', '.join(sorted(names))}; leave this run out"
        )
        raise ValueError(message)
    options = None
    if "options" in plain:
        options = options_of(manifest.kind, dict(plain["options"]), where)  # type: ignore[call-overload]
    station = _station(manifest)
    blocks = folder.journal.read()
    return _Run(
        name=folder.path.name,
        sequence=sequence,
        options=options,
        blocks=blocks,
        arms=_arms(blocks, _transmission(manifest, station)),
        hardware=read_mapping(Hardware, station.get("hardware", {}), f"{where}: hardware"),
        calibration=read_mapping(Calibration, station["calibration"], f"{where}: calibration")
        if "calibration" in station
        else None,
    )


def _station(manifest: Manifest) -> Plain:
    """Return labkit's part of the station file that the manifest keeps."""
    from ruamel.yaml import YAML

    plain = YAML(typ="safe").load(manifest.station)
    found = plain.get("labkit", {}) if isinstance(plain, dict) else {}
    return found if isinstance(found, dict) else {}


def _arms(blocks: Sequence[Block], end: Arms) -> list[Arms]:
    """Return the attenuators' transmissions in each block, given those at the end of the run.

    A balance notes them with each of its blocks, begins with what is there, and leaves them as in
    its last block.
    """
    noted = {
        number: (float(b.setting["transmission_A"]), float(b.setting["transmission_B"]))
        for number, b in enumerate(blocks)
        if "transmission_A" in b.setting
    }
    if not noted:
        return [end] * len(blocks)
    now, last, found = noted[min(noted)], max(noted), []
    for number in range(len(blocks)):
        now = noted.get(number, now)
        found.append(end if number > last and end != UNKNOWN else now)
    return found


def _transmission(manifest: Manifest, station: Plain) -> Arms:
    """Return the attenuators' transmissions at the end of a run; zeros if not known."""
    roles = station.get("roles", {})
    snapshot = manifest.snapshot_before | manifest.snapshot_after
    found = []
    for arm in "ab":
        value = snapshot.get(f"{roles.get(f'attenuator_{arm}')}.transmission")
        found.append(float(value) if isinstance(value, int | float) else 0.0)
    return (found[0], found[1]) if all(found) else UNKNOWN


def _has_witness(run: _Run) -> bool:
    return any(_is_witness(block) for block in run.blocks)


def _is_witness(block: Block) -> bool:
    return block.good and block.setting.get("procedure") == "witness"


def _usual_arms(run: _Run) -> Arms:
    """Return the attenuators' transmissions in the first witness block, or at the end."""
    at = [number for number, block in enumerate(run.blocks) if _is_witness(block)]
    return run.arms[at[0] if at else -1] if run.arms else UNKNOWN


def _phase_of(run: _Run) -> float:
    """Return the phase of the witness blocks at θ, or of the sequence."""
    for block in run.blocks:
        if block.setting.get("procedure") == "witness" and block.setting.get("turn") != "pi":
            return float(block.setting["delta_phi"])
    return run.sequence.pulse("read").phase


def _gates(sequence: PulseSequence) -> tuple[float, float]:
    lengths = {gate.name: gate.stop - gate.start for gate in sequence.gates.gates}
    return lengths["pump"], lengths["read"]


def _records(run: _Run, reference: _Run) -> list[Record]:
    """Return the records of a run, blocks of equal settings added."""
    groups: dict[tuple[str, bool, Setting], list[tuple[Block, tuple[float, float]]]] = {}
    clock = 0.0
    for block, arms in zip(run.blocks, run.arms, strict=True):
        begin, clock = clock, clock + block.trials * block.gates.period
        if not block.good:
            continue
        played = _played(block.setting, run)
        if played is None:
            run.skipped.add(_named(block.setting))
            continue
        key = played.data_set, played.laser, _setting(played, run, arms, reference)
        groups.setdefault(key, []).append((block, (begin, clock)))
    found = []
    for (data_set, laser, setting), blocks in groups.items():
        counts = sum_of([block.held for block, _ in blocks])
        if counts is not None:
            spans = tuple(span for _, span in blocks)
            record = _record(run.name, data_set, setting, counts, laser=laser)
            found.append(replace(record, spans=spans))
    return found


def _named(setting: Plain) -> str:
    """Return the words for blocks that are not understood: procedure, and light if it has some."""
    procedure, light = str(setting.get("procedure", "no procedure")), setting.get("light")
    return f"{procedure} ({light})" if light and procedure in LIGHTS else procedure


def _record(run: str, data_set: str, setting: Setting, counts: Counts, *, laser: bool) -> Record:
    """Return the record of a setting's counts."""
    singles, pairs = np.full(4, np.nan), np.full((2, 2), np.nan)
    names, detectors = counts.gates.names, list(counts.gates.detectors)
    if detectors != [1, 2]:
        message = f"{run}: detectors must be 1 and 2, but are {detectors}"
        raise ValueError(message)
    for at, gate in ((0, "pump"), (2, "read")):
        if gate in names:
            singles[at : at + 2] = counts.singles[names.index(gate)]
    if {"pump", "read"} <= set(names):
        nine = witness_counts(counts)
        pairs = np.array([[nine.coincidences[f"r{i}p{j}"] for j in (1, 2)] for i in (1, 2)], float)
    before, seconds = _before(counts)
    # unpulsed light counts as dark clicks: it is there with both arms open and on the line only
    bright = setting.on_line and not laser and min(*setting.e_pump, *setting.e_read) > BLOCKED
    before = before if bright else np.zeros(2)
    return Record(
        data_set=data_set, run=run, setting=setting, kind="laser" if laser else "light",
        trials=counts.trials.number, singles=singles, coincidences=pairs, before=before,
        before_seconds=seconds if bright else 0.0,
    )  # fmt: skip


def _before(counts: Counts) -> tuple[Real, float]:
    """Return clicks of both detectors before the first gate, and how long that is (s)."""
    latest = min(gate.start for gate in counts.gates.gates) - CLEAR
    bins = counts.bin_edges[1:] <= latest
    clicks = counts.histogram[:, bins].sum(axis=1).astype(np.float64)
    return clicks, float(np.diff(counts.bin_edges)[bins].sum())


def _setting(played: _Played, run: _Run, arms: Arms, reference: _Run) -> Setting:
    """Return the model's setting of what was played."""
    energies: dict[str, tuple[float, float]] = {"pump": (0.0, 0.0), "read": (0.0, 0.0)}
    names = [pulse.name for pulse in played.sequence.pulses]
    usual_arms = reference.usual
    if UNKNOWN in (arms, usual_arms):
        arms = usual_arms = (1.0, 1.0)
    for name in ("pump", "read"):
        if name not in names:
            continue
        unit = reference.energy(reference.sequence.pulse(name))
        energy = run.energy(played.sequence.pulse(name)) / unit
        a, b = (
            energy * (own if arm in played.arms else CLOSED) / usual
            for arm, own, usual in zip("AB", arms, usual_arms, strict=True)
        )
        energies[name] = (round(a, 9), round(b, 9))
    both = {"pump", "read"} <= set(names)
    return Setting(
        delay=played.sequence.delay if both else reference.sequence.delay,
        delta_phi=round(run.phase(played.sequence), 9) if both else 0.0,
        e_pump=energies["pump"], e_read=energies["read"], gates=_gates(reference.sequence),
        on_line=played.on_line,
    )  # fmt: skip


def _played(setting: Plain, run: _Run) -> _Played | None:
    """Return what a block played, by its setting in the journal; None if that is not understood."""
    procedure, sequence = setting.get("procedure"), run.sequence
    device = str(setting.get("device", setting.get("arm", "AB")))
    name = f"{procedure} {device}" if device != "AB" else str(procedure)
    if procedure in ("witness", "phase_sweep"):
        found = sequence.with_read_phase(float(setting["delta_phi"]))
        if "delay" in setting and not isclose(float(setting["delay"]), sequence.delay):
            found = found.with_delay(float(setting["delay"]))
        return _Played(data_set=name, sequence=found)
    if procedure in ("delay_sweep", "g2"):
        found = sequence.with_delay(float(setting["delay"]))
        return _Played(data_set=name, sequence=found, arms=device)
    if procedure == "pump_probe":
        return _Played(data_set=name, sequence=_probe(setting, sequence), arms=device)
    light = setting.get("light")
    if light not in LIGHTS.get(str(procedure), ()):
        return None
    if procedure == "thermometry":
        sequence = _sideband(light, sequence)
    elif procedure == "splitting":
        sequence = _one_arm(light, run)
    elif procedure == "stray_light":
        device = "" if light == "closed" else device
    else:
        options = getattr(run.options, "null_test", run.options)
        laser = (options if isinstance(options, NullTestOptions) else NullTestOptions()).light
        level = float(setting.get(PUMP_LEVEL, laser.pump_level))
        sequence = laser_sequence(sequence, replace(laser, pump_level=level))
        if light == "bright laser":
            sequence = sequence.with_pulse("read", level=level)
        return _Played(data_set=name, sequence=sequence, on_line=False, laser=True)
    return _Played(data_set=name, sequence=sequence, arms=device, on_line=light not in BESIDE)


def _probe(setting: Plain, sequence: PulseSequence) -> PulseSequence:
    if any(pulse.name == "lock" for pulse in sequence.pulses):
        sequence = sequence.without_pulse("lock")
    if setting["delay"] == "reference":
        return probe_on_upper_sideband(sequence)
    if setting["delay"] == "probe alone":
        return sequence.without_pulse("pump")
    return sequence.with_delay(float(setting["delay"]))


def _sideband(light: object, sequence: PulseSequence) -> PulseSequence:
    pump = sequence.pulse("pump")
    if light == "stokes":
        return sequence.without_pulse("read")
    return sequence.without_pulse("pump").with_pulse(
        "read", start=pump.start, duration=pump.duration, edge=pump.edge, level=pump.level
    )


def _one_arm(light: object, run: _Run) -> PulseSequence:
    if light != "pump":
        return run.sequence
    options = getattr(run.options, "splitting", run.options)
    level = getattr(options, "pump_level", None)
    found = run.sequence.without_pulse("read")
    return found if level is None else found.with_pulse("pump", level=level)


def _setting_of_preset(preset: DLCZParameters) -> Setting:
    return Setting(delay=float(preset.delay), delta_phi=float(preset.delta_phi))


def _of_counts(path: str | Path, setting: Setting) -> list[Record]:
    """Return the records of a counts file, at θ and at θ + π if it has both."""
    name, at, phase = str(path).rpartition("@")
    if at:
        try:
            setting = replace(setting, delta_phi=float(phase))
        except ValueError:
            message = f"counts must be FILE or FILE@RAD with a number, but are {str(path)!r}"
            raise ValueError(message) from None
    evidence = load_evidence(name if at else path)
    turned = replace(setting, delta_phi=setting.delta_phi + pi)
    pairs = [(evidence.theta, setting), (evidence.pi, turned)]
    return [_record_of_nine(str(path), nine, place) for nine, place in pairs if nine is not None]


def _record_of_nine(name: str, nine: WitnessCounts, setting: Setting) -> Record:
    return Record(
        data_set="counts", run=name, setting=setting, trials=nine.trials,
        singles=np.array([*nine.pump, *nine.read], float),
        coincidences=np.array(
            [[nine.coincidences[f"r{i}p{j}"] for j in (1, 2)] for i in (1, 2)], float
        ),
    )  # fmt: skip
