"""The table of faults: that it is large enough, and that its judge can tell bad from good."""

import pytest

from benchmarks import faults
from benchmarks.faults import Case, Found, cases, table, try_case


def test_every_case_is_there_once():
    names = [case.name for case in cases()]
    assert len(names) == len(set(names)) >= 300
    assert {case.phase for case in cases()} == set(faults.PHASES)


@pytest.mark.parametrize(
    ("case", "code", "outcome"),
    [
        (Case(faults=("daq disconnect",), phase="making safe"), 3, "ended, NOT SAFE told"),
        (Case(faults=("dropped_events",), phase="measuring"), 0, "repaired, block left out"),
    ],
)
def test_sample_of_the_table(case, code, outcome):
    found = try_case(case)
    assert (found.code, found.outcome, found.bad) == (code, outcome, [])
    assert not found.is_silent


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "phase"),
    [
        ("mode_hop pump", "switching on"), ("filter_drift read", "measuring"),
        ("warm_cryostat 0.19 K", "locking"), ("filter_drift 2b", "measuring"),
    ],
)  # fmt: skip
def test_constant_faults_and_small_changes_do_not_count(fault, phase):
    """The subset of the table in which blocks once counted although the world was not right."""
    found = try_case(Case(faults=(fault,), phase=phase))
    assert found.bad == []
    assert found.left_out or found.code
    assert not found.is_silent


@pytest.mark.parametrize(
    ("code", "shouted", "silent"), [(3, ["snspd"], False), (0, ["snspd"], True), (3, [], True)]
)
def test_unsafe_ending_must_be_named_and_have_its_code(code, shouted, silent):
    found = Found(
        case="bias disconnect | measuring", code=code, outcome="ended", left_out=[], bad=[],
        unsafe=["snspd"], shouted=shouted,
    )  # fmt: skip
    assert found.is_silent is silent
    assert f"without exit code 3 and a name: {int(silent)}." in table([found])
