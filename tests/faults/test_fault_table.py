"""Every fault of the virtual lab during a run: repaired or told, data intact, the world safe."""

import pytest

pytestmark = pytest.mark.long

SETTINGS = {
    "afg": "OUTP1:STAT",
    "awg": "OUTP:STAT",
    "lock": "AMAN",
    "laser_pump": "OUTPut:STATe",
    "fridge": "INSET",
    "daq": "Dev1/ao0",
}
WIRE = ("silence", "delay", "garbage", "partial", "disconnect")
ALL = (*WIRE, "error", "refuse", "stick")
KINDS = {
    "afg": ALL,
    "awg": ALL,
    "lock": (*WIRE, "refuse", "stick"),  # has no error queue
    "laser_pump": ALL,
    "fridge": (*WIRE, "error"),  # nothing is set in it
    "daq": ("delay", "disconnect", "refuse", "stick"),  # answers nothing that could be spoiled
    "bias": ("delay", "disconnect"),
}
EARLY = {"silence", "disconnect", "refuse", "stick"}
"""Kinds that are also injected while switching on; the others were seen to do the same."""

SERVES = {
    "daq": {"voa_a", "voa_b", "stretcher", "eom_bias"},
    "bias": {"snspd"},
}
"""Instruments that are not safe if this one is gone."""


def fault(instrument, kind):
    plain = {"instrument": instrument, "kind": kind, "count": None}
    if kind == "delay":
        plain |= {"seconds": 0.02, "count": 5}
    if kind in ("refuse", "stick"):
        plain |= {"setting": SETTINGS[instrument]}
    return plain


CASES = [
    (name, kind, when)
    for name, kinds in KINDS.items()
    for kind in kinds
    for when in ("switching on", "measuring")
    if when == "measuring" or kind in EARLY
]


@pytest.mark.parametrize(("instrument", "kind", "when"), CASES)
def test_fault_of_an_instrument(short_run, record_property, instrument, kind, when):
    # A short time-out only for who gives no whole answer: on a busy machine others take longer.
    impatient = instrument if kind in WIRE else ""
    found = short_run(fault(instrument, kind), when=when, impatient=impatient, blocks=2)
    record_property("fault table", (f"{instrument} {kind}", when, str(found)))
    found.check()
    assert set(found.shouted) <= {instrument} | SERVES.get(instrument, set())
    if kind in ("silence", "partial", "garbage"):
        assert found.unsafe_ports() == {}, "who does not answer may still obey"
    blocks = found.folder.journal.read()
    assert len([block for block in blocks if block.good]) >= (when == "measuring")


PLANT = {
    "lock_loss": {},
    "mode_hop": {"target": "pump", "value": 5e9},
    "filter_drift": {"target": "2a"},
    "warm_cryostat": {},
    "latched_detector": {"target": "1"},
    "fifo_full": {},
    "dropped_events": {"duration": 60.0},
    "sync_loss": {"duration": 60.0},
}


@pytest.mark.parametrize("hop_hz", [5e9, 12e9, -18e9])
@pytest.mark.parametrize("laser", ["pump", "read"])
def test_laser_that_hops_is_found_by_the_wavemeter_and_tuned_back(short_run, laser, hop_hz):
    """A free spectral range away the light passes its filter, and the rates may look well."""
    hop = {"kind": "mode_hop", "at": 160.0, "target": laser, "value": hop_hz}
    found = short_run(hop, block=2_000_000, blocks=4)
    assert found.error is None
    assert any(f"the {laser} laser has hopped" in reason for reason in found.left_out)
    assert any(f"{laser} laser tuned back" in line for line in found.said)
    assert found.world.plant.light.hop_hz(("pump", "read").index(laser)) == 0.0


def test_block_in_which_the_wavemeter_told_nothing_does_not_count(short_run):
    """A laser may have hopped by a free spectral range of its filter, and the rates look well."""
    found = short_run({"instrument": "wavemeter", "kind": "disconnect", "count": None})
    found.check()
    assert "4 times in a row blocks were bad" in found.folder.manifest().reason
    assert all("nobody knows where the pump laser was" in why for why in found.left_out)


def test_wavemeter_that_is_silent_for_a_moment_costs_no_block(short_run):
    found = short_run({"instrument": "wavemeter", "kind": "disconnect", "count": 1})
    found.check()
    assert (found.error, found.left_out) == (None, [])


def test_tagger_that_is_lost_ends_a_run_but_nothing_unsafe_is_told(short_run):
    found = short_run({"instrument": "timeharp", "kind": "disconnect", "count": None})
    found.check()
    assert found.error is not None
    assert (found.unsafe_ports(), found.shouted) == ({}, {})


@pytest.mark.parametrize("kind", PLANT)
def test_fault_of_the_laboratory(short_run, record_property, kind):
    found = short_run(
        {"kind": kind, "at": 10.0} | PLANT[kind], block=2_000_000, blocks=3, as_published=True
    )
    record_property("fault table", (kind, "measuring", str(found)))
    found.check()
    assert found.shouted == {}
    assert found.left_out
