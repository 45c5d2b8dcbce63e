"""The tagger's driver, the simulated library and the world together, down to the tag file."""

import ptufile
import pytest
from qcodes.instrument import Instrument

from analysis.tagfile import PtuFile, PtuWriter, find_layout, summarise
from instruments.newport_tlb6700.driver import NewportTLB6700
from instruments.picoquant_timeharp260.driver import PicoQuantTimeHarp260
from instruments.snspd_bias import PhotonSpotBias
from simulation.lab.clock import VirtualClock
from simulation.lab.instruments.snspd_bias import SimulatedPhotonSpot
from simulation.lab.instruments.timeharp260 import SimulatedTH260Lib
from simulation.lab.instruments.tlb6700 import SimulatedTLB6700
from simulation.lab.plant import Plant
from simulation.lab.wiring import Wiring
from tests.simulation.lab.paper_settings import apply_paper_settings


@pytest.fixture
def plant():
    plant = Plant(VirtualClock(), Wiring(), seed=1)
    apply_paper_settings(plant.wiring)
    plant.clock.advance(10.0)
    yield plant
    Instrument.close_all()


def tagger(plant, mode="T3"):
    device = PicoQuantTimeHarp260("tagger", SimulatedTH260Lib(plant.wiring.tagger), mode)
    if mode == "T3":
        device.resolution(2e-9)
    for channel in (device.sync, *device.inputs):
        channel.trigger_level(0.1)
        channel.trigger_edge("rising")
    return device


def record(path, device, duration):
    form = device.record_format()
    with PtuWriter(
        path,
        layout=find_layout(form.record_type),
        resolution=form.resolution,
        sync_rate=form.sync_rate,
        acquisition_time=duration,
        tags=dict(form.tags),
    ) as writer:
        device.start(writer, duration)
        assert device.wait(30.0)
        writer.close(measured_time=device.elapsed())
    return PtuFile(path)


def mean_rate(device, channel):
    """Of 100 gates of 100 ms, in which one gate alone holds about two clicks."""
    return sum(device.count_rate(channel) for _ in range(100)) / 100


@pytest.mark.parametrize("mode", ["T2", "T3"])
def test_recorded_world_is_a_complete_file_that_ptufile_reads(tmp_path, plant, mode):
    device = tagger(plant, mode)
    tags = record(tmp_path / "x.ptu", device, 60.0 if mode == "T3" else 2.0)
    assert device.events() == ()
    summary = summarise(tags)
    assert summary.warnings == ()
    assert summary.duration == pytest.approx(60.0 if mode == "T3" else 2.0, rel=1e-4)
    assert sum(summary.photons.values()) > 10
    with ptufile.PtuFile(tmp_path / "x.ptu") as reference:
        assert len(reference.read_records()) == summary.records
        assert reference.tags["HW_Type"] == "TimeHarp 260 N"


def test_trigger_level_above_the_pulses_silences_an_input(plant):
    device = tagger(plant)
    assert mean_rate(device, 0) > 0
    device.inputs[0].trigger_level(1.2)
    assert mean_rate(device, 0) == 0


def test_lost_trigger_is_an_event(tmp_path, plant):
    def unplug():
        plant.recorder.troubles.sync_off = True

    device = tagger(plant)
    plant.clock.at(plant.clock.now() + 5.0, unplug)
    record(tmp_path / "x.ptu", device, 60.0)
    assert [event.kind for event in device.events()] == ["sync_lost"]


def test_bias_and_wavelength_reach_the_clicks_through_their_protocols(plant):
    device = tagger(plant)
    spot = PhotonSpotBias(
        "bias", SimulatedPhotonSpot(plant.wiring.bias), [20e-6, 20e-6], ramp_rate=1.0
    )
    assert mean_rate(device, 1) > 0
    spot.ramp_to(2, 0.0)
    assert mean_rate(device, 1) == 0
    controller = SimulatedTLB6700(plant.wiring.laser["pump"], plant.clock)
    laser = NewportTLB6700("pump", controller, (1550e-9, 1560e-9), 0.1, 0.02, 0.2e-9, poll=1e-3)
    laser.current(0.08)
    laser.emission(True)
    before = plant.operating_point()
    laser.wavelength(1551e-9)
    assert plant.wiring.laser["pump"].state.wavelength == pytest.approx(1551e-9, abs=1e-12)
    assert plant.operating_point() != before
