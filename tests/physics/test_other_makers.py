"""A lab of other makers' instruments, described in YAML only, measures to R_m."""

import numpy as np
import pytest

from labkit.experiment import read_experiment
from labkit.procedures.session import Session
from labkit.procedures.switch_on import SwitchOnOptions, switch_on
from labkit.procedures.witness import WitnessOptions, witness
from labkit.run import Goal, create_run
from labkit.station.config import read_station_file, station_path
from labkit.station.lab import Lab
from labkit.station.opening import open_instruments
from simulation.lab.world import World

pytestmark = pytest.mark.long

TRIALS = 4_000_000
EXPERIMENT = station_path("others").parents[1] / "experiments" / "autopilot.yaml"
LABS = {
    "others": (
        "TopticaDLCPro", "SantecTSL570", "TektronixAFG3152C", "ZurichHDAWG", "SRSSIM960",
        "YokogawaGS200", "PicoQuantMultiHarp150", "SingleQuantumWebSQ", "BlueforsLogs",
        "LakeshoreModel372", "SRSDG645", "AgiltronFF", "SercaloSwitch", "NIDAQOutput",
    ),
    "qcodes": (
        "TopticaDLCPro", "SantecTSL550", "SRSSIM960", "PicoQuantHydraHarp400", "AgiltronSelfAlign",
        "TektronixAWG5014", "YokogawaGS200", "Keithley2450", "OxfordTriton", "LakeshoreModel372",
        "Keysight33511B", "Keithley6500", "Stahl",
    ),
}  # fmt: skip
"""Makers' classes by station file; those of ``qcodes`` from the second row on are QCoDeS's own."""


@pytest.mark.parametrize("station", LABS)
def test_lab_described_in_yaml_only_measures_to_the_models_witness(
    tmp_path, dry_lab_of, quiet, station
):
    """4 million trials: every count within 5 σ of the model's."""
    pytest.importorskip("toptica.lasersdk", reason="needs toptica_lasersdk")
    file = read_station_file(station)
    options = dict(file.config.world.options)
    world = World.start(seed=1, instruments=options["instruments"], parameters=quiet)
    with world, open_instruments(file, {**world.addresses, **world.objects}) as instruments:
        kinds = {type(instrument).__name__ for instrument in instruments.values()}
        assert set(LABS[station]) <= kinds
        experiment = read_experiment(EXPERIMENT)
        sequence = experiment.sequence
        run = create_run(tmp_path, "witness", experiment.to_dict(), file.text, gates=sequence.gates)
        session = Session(lab=Lab(file, instruments), folder=run)
        assert session.lab.tagger.sync_rate() == 0
        switch_on(session, sequence, SwitchOnOptions())
        assert session.lab.what_stopped() == []
        lab = dry_lab_of(world, session, sequence).at_best_phase()
        assert session.lab.phase_lock.lock_state() == "locked"
        singles, pairs = lab.expected(TRIALS)
        goal = WitnessOptions(goal=Goal(trials=TRIALS), block=TRIALS, as_published=True)
        evaluation = witness(lab.session, lab.sequence, goal).evaluation
        counts = evaluation.counts
        assert np.all(np.abs(counts.singles.reshape(4) - singles) < 5 * np.sqrt(singles))
        assert np.all(np.abs(counts.pairs[2:, :2] - pairs) < 5 * np.sqrt(pairs))
        assert 0 < evaluation.witness.sym.mode < 1
        session.lab.trigger.safe_state()
        assert session.lab.what_stopped() == ["the trigger is off"]
        assert session.lab.make_safe().all_safe
        assert world.plant.light.arm_transmission(0) == 0.0
        assert [port.current for port in world.wiring.bias.values()] == [0.0, 0.0]
