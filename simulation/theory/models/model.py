"""The interface common to all models: parameters in, named results out, one point or a batch."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.linear_model import LinearModel
from simulation.theory.quantities import Parameters

if TYPE_CHECKING:
    from simulation.theory.latex import Equations
    from simulation.theory.network import Network

Array = NDArray[Any]
Solve = Callable[[Any, Collection[str]], Mapping[str, ArrayLike]]


class Outcome(NamedTuple):
    """What a result means; one with `components` has them on its last axis."""

    unit: str
    meaning: str
    components: tuple[str, ...] = ()


class Moment(NamedTuple):
    """What a result is of the steady state, so that the equations of motion give its derivatives.

    E_N or −ln 2ν̃₋ of two modes, mean quanta or the squeezed variance of one, or the growth rate.
    """

    kind: Literal["E_N", "log_nu", "quanta", "squeezing", "growth_rate"]
    modes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A model of a paper.

    Attributes
    ----------
    name, paper : str
    parameters : type of Parameters
        Its fields are the parameters, its defaults the paper's values.
    results : mapping of str to Outcome
    solve : callable
        ``solve(parameters, wanted)`` returns the wanted results (more are ignored).
    linear : callable, optional
        ``linear(parameters)`` returns the linear model whose stability decides; of a model with a
        steady state.
    rate_unit : str
        Unit of the rates of `linear`.
    network : callable, optional
        ``network(parameters)`` returns the declared network, of a model that is one.
    moments : mapping of str to Moment
        Results of the steady state of `linear` whose derivatives follow from its equations.
    """

    name: str
    paper: str
    parameters: type[Parameters]
    results: Mapping[str, Outcome]
    solve: Solve
    linear: Callable[[Any], LinearModel] | None = None
    rate_unit: str = ""
    network: Callable[[Any], "Network"] | None = None
    moments: Mapping[str, Moment] = field(default_factory=dict)

    def show(self, **parameters: Any) -> "Equations":
        """Return H, A and D as LaTeX, in symbols and with the numbers of one point.

        A notebook shows them set. Symbols are the names of the parameters, see
        `simulation.theory.latex.shown`.

        Parameters
        ----------
        **parameters : float or str
            By name; the others keep their defaults.

        Raises
        ------
        KeyError, ValueError
            As `evaluate`; ValueError also if the model has no linear equations.
        """
        from simulation.theory.latex import Equated, shown

        for name in parameters:
            self.parameters.known(name)
        if self.linear is None:
            message = f"{self.name} has no linear equations of motion: it is solved in closed form"
            raise ValueError(message)
        declared = Equated(parameters=self.parameters, linear=self.linear, network=self.network)
        return shown(declared, {**self.parameters.defaults(), **parameters})

    def evaluate(
        self, wanted: Sequence[str] | None = None, /, **parameters: Any
    ) -> dict[str, Array]:
        """Results for parameters that broadcast against each other.

        Parameters
        ----------
        wanted : sequence of str, optional
            Which results; all if None. ``stable`` comes along where the model has it.
        **parameters : array_like
            By name; the others keep the paper's values.

        Returns
        -------
        dict of str to ndarray
            Each of the batch's shape, with a last axis for results that have components. Where
            ``stable`` is False, results that do not exist are nan.

        Raises
        ------
        KeyError
            If a parameter or result is unknown; the nearest names are offered.
        ValueError
            If a value is outside its range, or shapes do not match.
        """
        names = self.chosen(wanted)
        for name in parameters:
            self.parameters.known(name)
        checked = self.parameters(**parameters)
        solved = self.solve(checked, names)
        return {name: self._shaped(name, solved[name], checked.shape) for name in names}

    def chosen(self, wanted: Sequence[str] | None) -> tuple[str, ...]:
        """Names of the wanted results, checked; with the flag ``stable``."""
        for name in wanted or ():
            if name not in self.results:
                near = get_close_matches(name, self.results, n=3, cutoff=0.4) or list(self.results)
                message = f"no result {name!r} of {self.name}; nearest: {', '.join(near)}"
                raise KeyError(message)
        if wanted is None:
            return tuple(self.results)
        flag = ("stable",) if "stable" in self.results and "stable" not in wanted else ()
        return (*wanted, *flag)

    def _shaped(self, name: str, value: ArrayLike, shape: tuple[int, ...]) -> Array:
        components = self.results[name].components
        full = (*shape, len(components)) if components else shape
        array = np.asarray(value)
        return array if array.shape == full else np.broadcast_to(array, full).copy()
