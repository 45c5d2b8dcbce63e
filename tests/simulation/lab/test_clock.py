import pytest

from simulation.lab.clock import VirtualClock


def test_observers_live_through_every_interval_once():
    clock, lived = VirtualClock(), []
    clock.subscribe(lambda start, stop: lived.append((start, stop)))
    clock.advance(1.0)
    clock.advance(0.0)
    clock.advance(2.0)
    assert lived == [(0.0, 1.0), (1.0, 3.0)]
    assert clock.now() == 3.0


def test_actions_happen_at_their_time_between_intervals():
    clock, log = VirtualClock(), []
    clock.subscribe(lambda start, stop: log.append((start, stop)))
    clock.at(2.0, lambda: log.append("second"))
    clock.at(1.0, lambda: log.append("first"))
    clock.at(9.0, lambda: log.append("later"))
    clock.advance(3.0)
    assert log == [(0.0, 1.0), "first", (1.0, 2.0), "second", (2.0, 3.0)]


def test_time_does_not_pass_within_time():
    clock = VirtualClock()
    clock.at(1.0, lambda: clock.advance(1.0))
    with pytest.raises(RuntimeError, match="must not be advanced from within"):
        clock.advance(2.0)
    clock.advance(1.0)
    assert clock.now() == 2.0


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_time_runs_forwards(seconds):
    with pytest.raises(ValueError, match="must be finite and ≥ 0"):
        VirtualClock().advance(seconds)
