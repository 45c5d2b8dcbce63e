"""Inference leaves the BLAS library's threads as it found them."""

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from simulation.inference.blas_threads import with_one_blas_thread
from simulation.inference.infer import infer
from simulation.theory.dlcz import riedinger2018


def blas_threads() -> set[int]:
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_one_thread_within_and_all_of_them_afterwards():
    with threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        assert with_one_blas_thread(blas_threads)() == {1}
        assert blas_threads() == before


def test_an_error_sets_them_back_too():
    @with_one_blas_thread
    def failing() -> None:
        message = "as it is said"
        raise ValueError(message)

    with threadpool_limits(limits=2, user_api="blas"):
        before = blas_threads()
        with pytest.raises(ValueError, match="as it is said"):
            failing()
        assert blas_threads() == before


def test_inference_uses_one(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "simulation.inference.infer.make_prior", lambda *_, **__: seen.append(blas_threads())
    )
    with threadpool_limits(limits=2, user_api="blas"), pytest.raises(AttributeError):
        infer(None, riedinger2018())  # type: ignore[arg-type]
    assert seen == [{1}]
