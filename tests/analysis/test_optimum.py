"""Gates chosen by the data: found where the signal is, and judged by other trials."""

import numpy as np
import pytest

from analysis.gates import Gate, GateSet
from analysis.questions.optimum import better_gates
from analysis.tagfile import write_ptu
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import LAYOUTS

TICK, TRIALS = 1e-9, 400_000
WIDE = GateSet(
    period=50e-6, detectors={1: 0, 2: 1},
    gates=(Gate(name="pump", start=0.0, stop=120e-9), Gate(name="read", start=300e-9, stop=420e-9)),
)  # fmt: skip


def recorded(path, pairs, seed=1, noise=20_000):
    """Pairs with the pump click at 40 to 60 ns and the read click at 350 to 370 ns, and noise."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(TRIALS, pairs, replace=False)
    sync = np.concatenate([chosen, chosen, rng.integers(0, TRIALS, 2 * noise)])
    dtime = np.concatenate([
        rng.integers(40, 60, pairs), rng.integers(350, 370, pairs),
        rng.integers(0, 120, noise), rng.integers(300, 420, noise),
    ])  # fmt: skip
    order = np.lexsort((dtime, sync))
    events = Events(
        time=sync[order], dtime=dtime[order].astype(np.int32),
        channel=rng.integers(0, 2, len(sync)).astype(np.uint8),
    )  # fmt: skip
    write_ptu(path, events, layout=LAYOUTS[0x00010306], resolution=TICK, sync_rate=20e3,
              end_time=TRIALS)  # fmt: skip
    return path


def test_gates_close_in_on_the_signal(tmp_path):
    found = better_gates(recorded(tmp_path / "a.ptu", 600), WIDE)
    pump, read = found.gates.gates
    assert (pump.start, pump.stop) == pytest.approx((40e-9, 60e-9), abs=1e-12)
    assert (read.start, read.stop) == pytest.approx((350e-9, 370e-9), abs=1e-12)
    assert found.given < found.honest <= 1.001 * found.chosen
    assert found.honest == pytest.approx(600 / 628**0.5, rel=0.1)  # 28 accidental ones
    assert "(better)" in str(found)


def test_without_signal_nothing_is_promised(tmp_path):
    """What the choosing trials show is luck; the other half does not see it."""
    found = better_gates(recorded(tmp_path / "a.ptu", 0), WIDE)
    assert found.chosen > 2.5
    assert abs(found.honest) < 2.5  # σ of 1 with seed 1


def test_too_few_coincidences_choose_nothing(tmp_path):
    path = recorded(tmp_path / "a.ptu", 3, noise=200)
    with pytest.raises(ValueError, match=r"a\.ptu: gates need 20 coincidences of pump and read"):
        better_gates(path, WIDE)
