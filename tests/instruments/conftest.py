"""Instruments closed after every test, and the far ends that several tests share."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from qcodes.instrument import Instrument

from simulation.lab.ports.tagger import TaggerFlags, TaggerPort, TaggerRates


@pytest.fixture(autouse=True)
def _close_instruments():
    yield
    Instrument.close_all()


class MemorySink:
    """Records in memory, as a tag file would get them."""

    def __init__(self):
        self.blocks = []
        self.syncs = 0

    def write(self, records):
        self.blocks.append(records.copy())

    def sync(self):
        self.syncs += 1

    @property
    def records(self):
        return np.concatenate([np.empty(0, np.uint32), *self.blocks])


@pytest.fixture
def sink():
    return MemorySink()


TYPICAL_RATES = TaggerRates(sync=20_000.0, inputs=(120.0, 80.0))


@dataclass
class ScriptedTagger(TaggerPort):
    """Blocks of records, one per poll, each with the flags that are up from then on."""

    blocks: list = field(default_factory=list)
    flags_at: dict = field(default_factory=dict)
    rate: TaggerRates = TYPICAL_RATES
    endless: bool = False
    settings: object = None
    duration: float = 0.0
    polls: int = 0
    active: bool = False
    waiting: list = field(default_factory=list)

    def rates(self, settings):
        return self.rate

    def start(self, settings, duration):
        self.settings, self.duration = settings, duration
        self.polls, self.active = 0, True
        self.waiting = [np.asarray(block, np.uint32) for block in self.blocks]

    def stop(self):
        self.active = False

    def running(self):
        if not self.waiting and not self.endless:
            self.active = False
        return self.active

    def elapsed(self):
        return self.duration

    def records(self, limit):
        self.polls += 1
        if not self.waiting:
            return np.empty(0, np.uint32)
        block = self.waiting.pop(0)
        if len(block) > limit:
            self.waiting.insert(0, block[limit:])
        return block[:limit]

    def flags(self):
        up = [flags for poll, flags in self.flags_at.items() if self.polls >= poll]
        return up[-1] if up else TaggerFlags()


@pytest.fixture
def scripted_tagger():
    """A tagger's world whose records are written down in the test."""
    return ScriptedTagger
