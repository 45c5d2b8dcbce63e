"""Swapping, parallel chains and repeater: 40-digit values, and limits."""

import numpy as np
import pytest

from simulation.theory.models import point
from simulation.theory.protocols.swapping import MODEL, Swapping, link, waiting_rounds, waiting_time
from simulation.theory.protocols.witnesses import HERALDED, heralded_witnesses

COLD = {"n_0": 0.0, "n_env": 0.0, "n_heat": 0.0, "dark": 0.0}
CHAIN = ["P_links", "P_swap", "swapped", "C", "F", "V", "R"]

SWAPPED = [
    (
        {},
        1.03636894276e-6,
        0.205450300908,
        (0.4243049456, 0.2408097819, 0.2408097819, 0.0402103109, 0.2045053420),
        (0.147771837287, 0.445315123990, 0.728571553004, 0.907216521539),
    ),
    (
        COLD,
        9.96009980035e-7,
        0.192181847450,
        (0.4657868955, 0.2575756676, 0.2575756676, 0.0093641852, 0.2496479407),
        (0.367209322895, 0.507223608367, 0.936111405061, 0.148588795174),
    ),
    (
        COLD | {"p_pump": 1e-3},
        9.9960009998e-9,
        0.188607457968,
        (0.4778234627, 0.2601228595, 0.2601228595, 0.0009752320, 0.2592966995),
        (0.475419854370, 0.519419558980, 0.993198577865, 0.014489086642),
    ),
    (
        {"n_heat": 0.1},
        1.03636894276e-6,
        0.223961582616,
        (0.3730434950, 0.2091297891, 0.2091297891, 0.0705898710, 0.1355123508),
        (-0.05352478424, 0.344642139898, 0.489538179881, 3.22689170117),
    ),
    (
        {"p_read": 0.05},
        1.03636894276e-6,
        0.0221720132418,
        (0.4446692627, 0.2326131413, 0.2326131413, 0.0383468878, 0.1928926739),
        (0.124621167087, 0.425505815173, 0.713227834232, 0.971832976644),
    ),
]


@pytest.mark.parametrize(("changes", "links", "swap", "populations", "witnesses"), SWAPPED)
def test_swapped_ends(changes, links, swap, populations, witnesses):
    found = MODEL.evaluate(CHAIN, **changes)
    assert found["P_links"] == pytest.approx(links, rel=5e-12)
    assert found["P_swap"] == pytest.approx(swap, rel=5e-12)
    assert found["swapped"] == pytest.approx(populations, abs=1e-10)
    assert [found[name] for name in "CFVR"] == pytest.approx(witnesses, rel=1e-9)


def test_link():
    found = MODEL.evaluate(["P_link", "link", "link_C", "link_F", "link_V", "link_R"])
    assert found["P_link"] == pytest.approx(1.01802207381e-3, rel=5e-12)
    populations = [0.0261747892, 0.4214142794, 0.4214142794, 0.0397540233, 0.4201902162]
    assert found["link"] == pytest.approx(populations, abs=1e-10)
    assert found["link_C"] == pytest.approx(0.775865219310, rel=5e-12)
    assert found["link_F"] == pytest.approx(0.841604495576, rel=5e-12)
    assert found["link_V"] == pytest.approx(0.912235002952, rel=5e-12)
    assert found["link_R"] == pytest.approx(0.203711763218, rel=5e-12)


def test_the_click_form_of_the_concurrence_lies_above_the_exact_one():
    state = link(Swapping())
    found = dict(zip(HERALDED, heralded_witnesses(state), strict=True))
    assert found["C_clicks"] == pytest.approx(0.777097404957, rel=5e-12)
    assert found["C_clicks"] > found["C"]


def test_final_clicks():
    found = MODEL.evaluate(["P_final", "P_combined", "V_final"])
    single = 0.0668986622336
    assert found["P_final"] == pytest.approx([single, single, 0.00216183209143], rel=5e-12)
    assert found["P_combined"] == pytest.approx([0.0177529181543, 0.115084674746], rel=5e-12)
    assert found["V_final"] == pytest.approx(0.732712438298, rel=5e-12)


def test_two_parallel_links():
    e_0, e_pi4, _, s, final, heralds = MODEL.evaluate(["direct"])["direct"]
    assert [e_0, e_pi4] == pytest.approx([0.716873685133, 0.506906244974], rel=5e-12)
    assert final == pytest.approx(0.0278376844915, rel=5e-12)
    assert heralds == pytest.approx(1.03848442134e-6, rel=5e-12)
    assert s == pytest.approx(2.02762497990, rel=5e-12)


def test_two_colder_parallel_links_violate_chsh():
    cold = {"n_0": 0.01, "n_env": 0.01, "n_heat": 0.01, "p_pump": 0.003}
    e_0, _, _, s, _, heralds = MODEL.evaluate(["direct"], **cold)["direct"]
    assert s == pytest.approx(2.39925294082, rel=5e-12)
    assert e_0 == pytest.approx(0.848264011952, rel=5e-12)
    assert heralds == pytest.approx(9.18139623095e-8, rel=5e-12)


def test_eight_devices_with_heralds_of_1e_14():
    e_0, _, _, s, final, heralds = MODEL.evaluate(["parallel"])["parallel"]
    assert heralds == pytest.approx(1.18350452727e-14, rel=5e-12)
    assert e_0 == pytest.approx(0.351165534604, rel=5e-12)
    assert s == pytest.approx(0.99324612335, rel=5e-12)
    assert final == pytest.approx(0.012917535687, rel=5e-12)


@pytest.mark.parametrize(
    ("length", "modes", "success", "seconds", "bound"),
    [
        (50, 1, 6.448884904905e-4, 2.827965234583, 0.1461611118083),
        (50, 100, 0.06247293484117, 0.02888154811423, 0.1461611118083),
        (100, 100, None, 0.1799256460488, 0.1453636840635),
    ],
)
def test_repeater(length, modes, success, seconds, bound):
    found = MODEL.evaluate(["P_M", "rounds", "T", "T_small", "C"], length_km=length, M=modes)
    if success is not None:
        assert found["P_M"] == pytest.approx(success, rel=1e-11)
    assert found["T"] == pytest.approx(seconds, rel=1e-11)
    assert found["C"] == pytest.approx(bound, rel=1e-11)
    if (length, modes) == (50, 1):
        assert found["rounds"] == pytest.approx(2325.733437629, rel=1e-11)
    if (length, modes) == (50, 100):
        assert found["T_small"] == pytest.approx(0.02919533613207, rel=1e-11)


@pytest.mark.parametrize("memory", [1, 3, 10, np.inf])
def test_waiting_rounds_are_those_of_simulated_links(memory):
    rng = np.random.default_rng(4)
    success, trials = 0.2, 40_000
    times, waits = np.zeros(trials), np.zeros(trials)
    waiting = np.arange(trials)
    while len(waiting):
        made = rng.geometric(success, (2, len(waiting)))
        gap = np.abs(made[0] - made[1])
        lost = gap > memory
        spent = np.where(lost, made.min(axis=0) + memory, made.max(axis=0))
        times[waiting] += spent
        waits[waiting] = gap
        waiting = waiting[lost]
    mean, error = times.mean(), times.std() / np.sqrt(trials)
    assert abs(waiting_rounds(np.asarray(success), 2, memory) - mean) < 4 * error
    mean, error = waits.mean(), waits.std() / np.sqrt(trials)
    assert abs(waiting_time(np.asarray(success), 2, memory) - mean) < 4 * error


def test_more_links_take_the_mean_of_the_slowest():
    rng = np.random.default_rng(5)
    made = rng.geometric(0.1, (4, 100_000))
    slowest, gap = made.max(axis=0), np.ptp(made, axis=0)
    error = slowest.std() / np.sqrt(100_000)
    assert abs(waiting_rounds(np.asarray(0.1), 4) - slowest.mean()) < 4 * error
    error = gap.std() / np.sqrt(100_000)
    assert abs(waiting_time(np.asarray(0.1), 4) - gap.mean()) < 4 * error


def test_a_link_that_waits_loses_coherence_unless_it_never_decays():
    waiting = MODEL.evaluate(["V", "T_wait"], wait=[0.0, 2e-5, 1e-4], length_km=20)
    assert np.all(np.diff(waiting["V"]) < 0)
    assert np.all(waiting["T_wait"] > 20 / 2e5)
    kept = MODEL.evaluate(["V"], wait=[0.0, 1e-4], lifetime=np.inf)["V"]
    assert kept[0] == pytest.approx(kept[1], rel=1e-13)


def test_longer_chains_hold_less():
    bounds = [float(MODEL.evaluate(["F"], links=links)["F"]) for links in (2, 3)]
    assert bounds[1] < bounds[0]


def test_a_limited_memory_of_many_links_is_refused():
    with pytest.raises(ValueError, match="`memory_time` must be inf for more than two links"):
        point(MODEL, links=3, length_km=10, memory_time=1.0)
    with pytest.raises(ValueError, match="at least one round"):
        point(MODEL, length_km=100, memory_time=1e-6)
    with pytest.raises(ValueError, match="`links` must be a whole number"):
        point(MODEL, links=2.5)


def test_a_sweep_of_length_equals_its_points():
    lengths = [10.0, 80.0]
    together = MODEL.evaluate(["T", "direct"], length_km=lengths)
    for place, length in enumerate(lengths):
        alone = MODEL.evaluate(["T", "direct"], length_km=length)
        assert together["T"][place] == pytest.approx(alone["T"], rel=1e-12)
        assert together["direct"][place] == pytest.approx(alone["direct"], rel=1e-11)


def test_an_unasked_output_leaves_the_link_less_pure():
    loose = MODEL.evaluate(["P_link", "link_C"], outputs="unasked")
    assert loose["P_link"] == pytest.approx(1.01906055823e-3, rel=5e-12)
    strict = MODEL.evaluate(["link_C"])["link_C"]
    assert loose["link_C"] < strict
