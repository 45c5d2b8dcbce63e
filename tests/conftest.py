"""Property tests with the same examples in every run; what is collected is not walked again."""

import gc

import pytest
from hypothesis import settings

# no deadline, which a busy machine breaks
settings.register_profile("labkit", deadline=None, derandomize=True)
settings.load_profile("labkit")

_SLOWEST = (
    "physics/test_red_team.py::test_no_lie_of_the_virtual_lab",
    "inference/test_inference_posterior.py::test_ranks_of_the_truth",
    "labkit/test_procedures.py::test_autopilot_goes_from_cold",
    "faults/test_resume.py::",
    "physics/test_recovery.py::",
    "physics/test_dry_runs.py::",
    "docs/test_readme.py::",
    "labkit/test_identify.py::",
    "physics/test_twin.py::",
)
"""Tests of many seconds: they come first, so that no worker is left with one at the end."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: not any(part in item.nodeid for part in _SLOWEST))


def pytest_collection_finish():
    """Thousands of tests live to the end: the garbage collector need not look at them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 10)
