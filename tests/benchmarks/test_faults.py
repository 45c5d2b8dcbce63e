"""The table of faults: that it is large enough, and that its judge can tell bad from good."""

from dataclasses import replace

import pytest

from benchmarks import faults
from benchmarks.fault_table import Found, table
from benchmarks.faults import Case, cases, try_case


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
    assert f"without exit code 3 and a name: {int(silent)}." in table([found], 1)


@pytest.mark.parametrize("fault", ["bias stick", "bias stuck current"])
def test_what_cannot_be_known_is_exempt_by_name_and_shown(fault):
    exempt = Found(
        case=f"{fault} | measuring", code=0, outcome="went on", left_out=[], bad=[],
        unsafe=["snspd"], shouted=[],
    )  # fmt: skip
    assert not exempt.is_silent
    assert "snspd unsafe, **exempt**" in table([exempt], 1)
    assert "**Exempt** are 1 of these endings" in table([exempt], 1)
    assert replace(exempt, unsafe=["snspd", "afg"]).is_silent
    assert replace(exempt, case="bias disconnect | measuring").is_silent


def test_case_that_goes_on_is_explained_or_said_not_to_be():
    found = [
        Found(case=case, code=0, outcome="went on", left_out=[], bad=[], unsafe=[], shouted=[])
        for case in ("afg delay | opening", "afg silence | measuring")
    ]
    page = table(found, 2)
    assert "| replies come 20 ms late, five times: in time | 1 |" in page
    assert "| **not explained**: afg silence / measuring | 1 |" in page


def test_processes_side_by_side_try_every_case_once(tmp_path, monkeypatch):
    monkeypatch.setenv("LABKIT_FAULTS", str(tmp_path))
    case = cases()[0]
    with faults._taken(tmp_path, case) as mine, faults._taken(tmp_path, case) as others:
        assert (mine, others) == (True, False)
    with faults._taken(tmp_path, case) as again:
        assert again
