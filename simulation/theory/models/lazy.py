"""Models of dask arrays: the same results, computed block by block when asked for."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from simulation.theory.models.model import Model


def evaluate_lazily(
    model: "Model", wanted: Sequence[str], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Results as dask arrays, one block per block of the parameters.

    Parameters
    ----------
    model : Model
    wanted : sequence of str
        Results, known to the model.
    parameters : mapping of str to array_like or dask array
        At least one dask array; the others broadcast against it.

    Returns
    -------
    dict of str to dask array
    """
    da: Any = import_module("dask.array")
    arrays = {name: value for name, value in parameters.items() if np.ndim(value)}
    numbers = {name: value for name, value in parameters.items() if name not in arrays}
    spread = da.broadcast_arrays(*(da.asarray(value) for value in arrays.values()))
    axes = tuple(range(spread[0].ndim))
    _, blocks = da.unify_chunks(*(item for value in spread for item in (value, axes)))
    trial = model.evaluate(wanted, **numbers)
    return {
        name: da.map_blocks(
            _block,
            *blocks,
            model=model,
            wanted=name,
            names=tuple(arrays),
            numbers=numbers,
            **_outline(trial[name], blocks[0].chunks),
        )
        for name in wanted
    }


def _outline(example: NDArray[Any], chunks: tuple[tuple[int, ...], ...]) -> dict[str, Any]:
    """Type and shape of a result, from its value at one point; components are a last axis."""
    outline: dict[str, Any] = {
        "dtype": example.dtype,
        "meta": np.empty((0,) * (len(chunks) + example.ndim), example.dtype),
    }
    if example.ndim:
        outline |= {"new_axis": len(chunks), "chunks": (*chunks, example.shape)}
    return outline


def _block(
    *arrays: NDArray[Any],
    model: "Model",
    wanted: str,
    names: Sequence[str],
    numbers: Mapping[str, Any],
) -> NDArray[Any]:
    parameters = dict(zip(names, arrays, strict=True))
    return model.evaluate([wanted], **numbers, **parameters)[wanted]
