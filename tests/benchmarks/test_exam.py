"""The exam's judge: what counts as noticed, what as named, and the table."""

from benchmarks.exam import NAMES, Sat, table
from simulation.lab.exam import AILMENTS


def test_every_ailment_has_words_that_name_it():
    assert set(NAMES) == set(AILMENTS)


def test_fault_is_named_only_by_its_own_words():
    latched = {"kind": "latched_detector", "target": "1"}
    named = Sat(fault=latched, sentences=("detector 1 sees no light: latched or without bias",))
    noticed = Sat(fault=latched, sentences=("the pump rate of detector 1 has changed by -99 %",))
    silent = Sat(fault=latched, sentences=())
    assert (named.noticed, named.named) == (True, True)
    assert (noticed.noticed, noticed.named) == (True, False)
    assert (silent.noticed, silent.named) == (False, False)
    inferred = Sat(fault=latched, sentences=(), inferred=("compare: detector 1 latched",))
    assert (inferred.noticed, inferred.diagnosed, inferred.named) == (True, False, True)
    lines = table([silent, noticed, named, inferred]).splitlines()
    assert lines[2].startswith("| latched_detector | 4 | 3 | 1 | 2 | detector 1 sees no light")
    assert lines[3] == "| **all** | 4 | 3 | 1 | 2 | |"
