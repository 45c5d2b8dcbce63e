"""The paper's counts from the preset parameters."""

import json
from pathlib import Path

import numpy as np
import pytest

from simulation.theory.dlcz import (
    DLCZParameters,
    click_probabilities,
    g2_clicks,
    measurable_witness,
    riedinger2018,
    riedinger2018_matched,
    true_witness,
)
from simulation.theory.dlcz.state import device_moments

OPTIMAL = (1.114e9, [111134, 184114, 108723, 167427], [[9, 129], [130, 37]])
EXTENDED = (1.949e9, [196080, 322608, 194023, 300373], [[16, 242], [223, 67]])
PUBLISHED = Path(__file__).parents[2].parent / "shared" / "data" / "riedinger2018_counts.json"


@pytest.mark.parametrize(("data_set", "published"), [("optimal", OPTIMAL), ("extended", EXTENDED)])
def test_expected_counts_are_the_published_ones_within_two_sigma(data_set, published):
    trials, singles, coincidences = published
    model = click_probabilities(riedinger2018(data_set))
    for expected, counted in ((model.singles, singles), (model.coincidences, coincidences)):
        sigmas = (np.array(counted) - trials * expected) / np.sqrt(trials * expected)
        assert np.max(np.abs(sigmas)) < 2


def test_matched_read_fluxes_are_as_published_with_the_published_counts():
    """Heralds balanced to 1 %, read fluxes 5 to 10 % apart, phonons within their errors."""
    p, (trials, singles, coincidences) = riedinger2018_matched(), OPTIMAL
    model, moments = click_probabilities(p), device_moments(p)
    for expected, counted in ((model.singles, singles), (model.coincidences, coincidences)):
        sigmas = (np.array(counted) - trials * expected) / np.sqrt(trials * expected)
        assert np.max(np.abs(sigmas)) < 1.5
    heralds = p.per_device("eta") * moments.stokes
    reads = p.per_device("eta") * p.per_device("p_read") * moments.mechanics
    assert abs(np.diff(heralds)[0]) < 0.01 * heralds.mean()
    assert 0.05 < abs(np.diff(reads)[0]) / reads.mean() < 0.10
    phonons = moments.mechanics - p.per_device("p_pump") * (1 + p.per_device("n_0"))
    assert np.all(np.abs(phonons - [0.119, 0.069]) < [0.028, 0.014])


def test_counts_above_are_those_of_the_data_file():
    if not PUBLISHED.exists():
        pytest.skip(f"{PUBLISHED.name} is not beside this checkout")
    optimal = json.loads(PUBLISHED.read_text())["optimal"]
    assert OPTIMAL[0] == optimal["trials"]
    assert OPTIMAL[1] == optimal["pump"] + optimal["read"]
    assert OPTIMAL[2][1][0] == optimal["coincidences"]["r2p1"]


def test_witness_of_the_preset_is_close_to_the_published_one():
    measured = measurable_witness(g2_clicks(riedinger2018()))
    assert np.all((measured > 0.55) & (measured < 0.85))
    assert np.all(true_witness(riedinger2018()) < measured)


def test_defaults_are_the_optimal_set():
    np.testing.assert_array_equal(g2_clicks(DLCZParameters()), g2_clicks(riedinger2018("optimal")))


def test_unknown_data_set_names_the_known_ones():
    with pytest.raises(ValueError, match="must be one of optimal, extended, but is 'best'"):
        riedinger2018("best")
