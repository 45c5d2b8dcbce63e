"""SIM928 modules and a WebSQ as detector bias: caps, ramps, outputs only at 0, read-back."""

from itertools import pairwise

import pytest

from instruments import SRSSIM900, SingleQuantumWebSQ, SRSSIM928Bias
from instruments.bases import bias_ramp
from simulation.lab.world import World

CAPS = [15e-6, 15e-6]


@pytest.fixture
def world():
    with World.start(instruments=["sim900", "websq", "websq_counts", "timeharp"]) as running:
        yield running


@pytest.fixture
def sim928(world):
    frame = SRSSIM900("frame", world.addresses["sim900"])
    bias = SRSSIM928Bias(
        "bias", frame, [5, 6], [100e3, 100e3], CAPS, ramp_rate=1e-3, ramp_step=2e-6
    )
    return bias, [world.instruments["sim900"].slots[slot] for slot in (5, 6)]


@pytest.fixture
def websq(world):
    ports = {key: world.objects[f"websq{end}_port"] for key, end in
             (("port", ""), ("counts_port", "_counts"))}  # fmt: skip
    return SingleQuantumWebSQ(
        "websq",
        world.addresses["websq"],
        CAPS,
        ramp_rate=1e-3,
        ramp_step=2e-6,
        timeout=0.3,
        **ports,
    )


@pytest.fixture(params=["sim928", "websq"])
def bias(request):
    made = request.getfixturevalue(request.param)
    return made[0] if isinstance(made, tuple) else made


def test_connecting_changes_nothing_and_a_ramp_reaches_the_nanowire(world, bias):
    assert [port.current for port in world.wiring.bias.values()] == [0.0, 0.0]
    bias.ramp_to(1, 12e-6)
    bias.ramp_to(2, 6e-6)
    assert world.wiring.bias[1].current == pytest.approx(12e-6, abs=1e-8)
    assert world.wiring.bias[2].current == pytest.approx(6e-6, abs=1e-8)
    assert (bias.current(1), bias.current(2)) == (pytest.approx(12e-6), pytest.approx(6e-6))


def test_cap_is_refused_before_anything_is_sent(world, bias):
    with pytest.raises(ValueError, match="15 µA, its configured cap"):
        bias.ramp_to(1, 16e-6)
    assert world.wiring.bias[1].current == 0.0


def test_safe_state_is_zero_with_outputs_off(world, bias, monkeypatch):
    monkeypatch.setattr(bias_ramp, "FAST_TIME", 60.0)  # a busy machine makes no electronics slow
    seen = []
    bias.ramp_to(1, 10e-6)
    world.wiring.bias[1].listener = seen.append
    bias.safe_state()
    assert seen[-1] == 0.0
    assert max(abs(b - a) for a, b in pairwise(seen)) < 1.2e-6
    bias.safe_state()


def test_sim928_output_comes_on_at_zero_only(sim928):
    bias, (module, _) = sim928
    module.execute("VOLT 1.5")
    seen = []
    module.port.listener = seen.append
    bias.ramp_to(1, 4e-6)
    assert seen[:2] == [0.0, 0.0]
    assert seen[-1] == pytest.approx(4e-6)
    bias.safe_state()
    assert module.execute("EXON?") == "0"


def test_sim928_that_does_not_take_a_voltage_is_told(sim928):
    from simulation.lab.instrument_faults import InstrumentFault

    bias, (module, _) = sim928
    bias.ramp_to(1, 2e-6)
    module.faults.inject(InstrumentFault(kind="stick", setting="VOLT", count=None))
    with pytest.raises(RuntimeError, match=r"must carry 4 µA after the ramp, but reads back 2 µA"):
        bias.ramp_to(1, 4e-6)
    module.faults.clear()
    module.faults.inject(InstrumentFault(kind="refuse", setting="VOLT", count=None))
    with pytest.raises(RuntimeError, match="LEXE 1"):
        bias.ramp_to(1, 4e-6)


def test_sim928_tells_a_battery_change_once(sim928):
    bias, (module, _) = sim928
    module.switch_battery()
    assert "battery was switched over" in bias.events(1)[0]
    assert bias.events(1) == ()


@pytest.mark.parametrize(
    ("slots", "ohms", "caps", "message"),
    [
        ([5, 5], [1e5, 1e5], CAPS, "slots must differ"),
        ([5, 6], [1e5], CAPS, "one value per slot"),
        ([5, 6], [1e5, 2e6], CAPS, "must need at most 20 V"),
        ([1, 5], [1e5, 1e5], CAPS, "slot 1 must be a SIM928, but answers 'Stanford"),
    ],
)
def test_sim928_refuses_what_cannot_be(world, slots, ohms, caps, message):
    frame = SRSSIM900("frame", world.addresses["sim900"])
    with pytest.raises(ValueError, match=message):
        SRSSIM928Bias("bias", frame, slots, ohms, caps, ramp_rate=1e-3)


def test_websq_that_keeps_silent_is_told(world, websq):
    websq.ramp_to(1, 2e-6)
    world.inject(
        {"instrument": "websq", "kind": "refuse", "setting": "SetAllBiasCurrents", "count": None}
    )
    with pytest.raises(RuntimeError, match=r"did not obey SetAllBiasCurrents .* last told: "):
        websq.ramp_to(1, 4e-6)


def test_websq_enables_detectors_at_zero(world, websq):
    world.instruments["websq"].labels["BiasCurrent"] = [5.0, 5.0]
    seen = []
    world.wiring.bias[1].listener = seen.append
    websq.ramp_to(2, 2e-6)
    assert set(seen) == {0.0}
    websq.safe_state()
    assert world.instruments["websq"].labels["DetectorEnable"] is False


def test_websq_gives_rates_and_voltages_and_wants_all_its_detectors(world, websq):
    assert len(websq.count_rates()) == 2
    assert websq.bias_voltages() == (0.0, 0.0)
    with pytest.raises(ValueError, match="one value per detector, 2, but has 1"):
        SingleQuantumWebSQ(
            "other", "127.0.0.1", [1e-5], ramp_rate=1e-3, port=world.objects["websq_port"]
        )


def test_websq_link_that_was_cut_is_opened_anew(world, websq):
    websq.ramp_to(1, 2e-6)
    websq._link.close()
    websq.ramp_to(1, 4e-6)
    assert world.wiring.bias[1].current == pytest.approx(4e-6)


def test_nobody_at_the_address_is_told(world):
    world.stop()
    with pytest.raises(ConnectionError, match=r"websq at 127.0.0.1:\d+: the link fails"):
        SingleQuantumWebSQ(
            "websq", "127.0.0.1", CAPS, ramp_rate=1e-3, port=world.objects["websq_port"]
        )
