import pytest
import scipy.constants

from simulation.theory import constants


@pytest.mark.parametrize("name", ["c", "h", "hbar", "k"])
def test_exact_constants_are_those_of_the_si(name):
    assert getattr(constants, name) == getattr(scipy.constants, name)


def test_the_permeability_is_measured_and_agrees_within_its_editions():
    assert constants.mu_0 == pytest.approx(scipy.constants.mu_0, rel=1e-9)
