"""Linear algebra of small matrices, which several threads only slow down."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Found = TypeVar("Found")


def with_one_blas_thread(function: Callable[Given, Found]) -> Callable[Given, Found]:
    """Let a function's linear algebra run in one thread, whatever the library's default.

    A BLAS library shares out even matrices of 30 by 30, and its threads wait for each other by
    turning in circles: on two cores inference takes twice as long that way.
    """

    @wraps(function)
    def alone(*args: Given.args, **kwargs: Given.kwargs) -> Found:
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return alone
