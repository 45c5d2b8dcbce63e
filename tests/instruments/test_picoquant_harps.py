"""MultiHarp, HydraHarp, PicoHarp 330: each library's own forms, flags, limits; and the world."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.tagfile.layouts import SYNC, find_layout
from instruments import PicoQuantHydraHarp400, PicoQuantMultiHarp150, PicoQuantPicoHarp330
from instruments.picoquant_timeharp260.library import TH260Error
from instruments.roles import TimeTagger
from simulation.lab.instruments.picoquant_harps import (
    SimulatedHHLib,
    SimulatedMHLib,
    SimulatedPH330Lib,
)
from simulation.lab.ports.tagger import TaggerFlags
from simulation.lab.world import World

FAMILY = {
    "multiharp": (PicoQuantMultiHarp150, SimulatedMHLib),
    "hydraharp": (PicoQuantHydraHarp400, SimulatedHHLib),
    "picoharp": (PicoQuantPicoHarp330, SimulatedPH330Lib),
}


def set_triggers(tagger):
    for channel in (tagger.sync, *tagger.inputs):
        channel.trigger_level(0.1)
        if "trigger_edge" in channel.parameters:
            channel.trigger_edge("rising")
        else:
            channel.zero_crossing(0.01)


@pytest.fixture(params=FAMILY)
def pair(request, scripted_tagger):
    driver, twin = FAMILY[request.param]
    port = scripted_tagger(rate=replace(scripted_tagger().rate, inputs=(120.0,) * 4))
    library = twin(port)
    return driver("tagger", library, "T2"), library, port


def test_records_come_whole_and_in_order(pair, sink):
    tagger, _, port = pair
    assert isinstance(tagger, TimeTagger)
    set_triggers(tagger)
    port.blocks = [np.arange(200_000), np.arange(200_000, 200_128)]
    tagger.start(sink, 1.0)
    assert tagger.wait(5.0)
    assert np.array_equal(sink.records, np.arange(200_128))
    assert tagger.events() == ()


def test_active_is_no_fault_and_the_others_are_their_own_bits(pair, sink):
    tagger, _, port = pair
    set_triggers(tagger)
    port.blocks, port.endless = [np.arange(3)], True
    port.flags_at = {2: TaggerFlags(dropped_events=True), 4: TaggerFlags(fifo_full=True)}
    tagger.start(sink, 100.0)
    assert tagger.wait(5.0)
    assert [event.kind for event in tagger.events()] == ["dropped_events", "fifo_full"]


def test_records_of_a_stopped_recording_do_not_come_in_the_next(pair, sink):
    tagger, _, port = pair
    set_triggers(tagger)
    if hasattr(tagger._library, "_waiting"):
        tagger._library._waiting = np.arange(5, dtype=np.uint32)
    port.blocks = [np.arange(10, 13)]
    tagger.start(sink, 1.0)
    assert tagger.wait(5.0)
    assert sink.records.tolist() == [10, 11, 12]


def test_format_is_the_models_own(pair):
    tagger, library, _ = pair
    form = tagger.record_format()
    assert find_layout(form.record_type).device.split()[0] in (
        library.board.model.split()[0], "MultiHarp"
    )  # fmt: skip
    assert form.resolution == library.board.base_resolution
    assert len(tagger.inputs) == library.n_inputs


@pytest.mark.parametrize(
    ("name", "level", "divider", "window"),
    [("multiharp", 1.2, 16, 0.1), ("hydraharp", 1.0, 16, 500e-6), ("picoharp", 1.5, 8, 0.1)],
)
def test_limits_are_the_models_own(name, level, divider, window):
    driver, twin = FAMILY[name]
    tagger = driver("tagger", twin(), "T3")
    tagger.input1.trigger_level(level)
    tagger.sync.divider(divider)
    tagger.window_start(window)
    with pytest.raises(ValueError, match="trigger_level"):
        tagger.input1.trigger_level(level + 0.001)
    with pytest.raises(ValueError, match="divider"):
        tagger.sync.divider(divider + 1)
    with pytest.raises(ValueError, match="window_start"):
        tagger.window_start(window + 1e-6)


def test_errors_are_in_the_librarys_words_and_another_model_is_refused():
    library = SimulatedMHLib()
    tagger = PicoQuantMultiHarp150("tagger", library, "T2")
    with pytest.raises(TH260Error, match=r"MH_SetBinning\(0, 99\) .* \(MH_ERROR_INVALID_ARGUMENT"):
        tagger.send("SetBinning", 99)
    library.board = replace(library.board, model="TimeHarp 260 N")
    tagger.close()
    with pytest.raises(RuntimeError, match="must be a MultiHarp, but is 'TimeHarp 260 N'"):
        PicoQuantMultiHarp150("other", library, "T2")


def test_hydraharp_is_calibrated_before_it_measures(sink, scripted_tagger):
    library = SimulatedHHLib(scripted_tagger())
    tagger = PicoQuantHydraHarp400("tagger", library, "T2")
    set_triggers(tagger)
    tagger.start(sink, 0.1)
    assert tagger.wait(5.0)
    library._calibrated = False
    with pytest.raises(TH260Error, match="HH_StartMeas"):
        tagger.start(sink, 0.1)


@pytest.mark.parametrize("name", FAMILY)
def test_tags_of_the_world_reach_the_file(name, tmp_path):
    from analysis.tagfile import open_tags
    from analysis.tagfile.codec import Decoder
    from labkit.station.lab import record_tags

    driver, _ = FAMILY[name]
    with World.start(seed=2, instruments=[name]) as world:
        tagger = driver("tagger", world.objects[name], "T2")
        set_triggers(tagger)
        period = world.plant.parameters.period
        recorded = record_tags(tagger, tmp_path / "a.ptu", 2000, period)
    assert recorded.whole
    assert recorded.faults == ()
    source = open_tags(tmp_path / "a.ptu")
    decoder = Decoder(source.layout)
    syncs = sum(int((decoder.decode(b).channel == SYNC).sum()) for b in source.blocks())
    assert syncs == pytest.approx(2000, abs=1)
