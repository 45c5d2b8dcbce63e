"""A theorist's own network as a model: points, sweeps, figures, like the models of the papers.

A function of named numbers that returns a `Network` is enough:

>>> from simulation.theory.couplings import radiation_pressure
>>> from simulation.theory.models.own import own_model
>>> from simulation.theory.network import Mode, Network
>>> def cavity(delta: float = 1.0, G: float = 0.1) -> Network:
...     a, b = Mode("a", detuning=delta, damping=0.5), Mode("b", detuning=1.0, damping=1e-4)
...     return Network(modes=[a, b], couplings=[radiation_pressure("a", "b", G)])
>>> sorted(own_model(cavity).results)
['E_a_b', 'growth_rate', 'log_nu_a_b', 'n_a', 'n_b', 'squeezing_a', 'squeezing_b', 'stable']

Numbers may be arrays. A parameter is annotated with its `Quantity` (unit, range, meaning, source)
where it has one. A network with nonlinear couplings returns ``network.build(mean)`` instead.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import field, make_dataclass
from inspect import Parameter as Argument
from inspect import signature
from itertools import combinations
from typing import Annotated, Any, cast, get_origin, get_type_hints

import numpy as np
from numpy.typing import ArrayLike

from simulation.theory.gaussian import occupation
from simulation.theory.linear_model import LinearModel
from simulation.theory.measures import log_negativity, log_nu, squeezed_variance
from simulation.theory.models.model import Model, Moment, Outcome
from simulation.theory.network import Network
from simulation.theory.quantities import FINITE, Parameters, Quantity, Value
from simulation.theory.steady_state import SteadyState, growth_rate, steady_state

Declaration = Callable[..., Network | LinearModel]
Measure = Callable[[SteadyState], ArrayLike]

PLAIN = Quantity("", FINITE, "", "")
"""Of a parameter that is not annotated."""


def own_model(
    network: Declaration,
    *,
    name: str = "",
    source: str = "own model",
    rate_unit: str = "",
    measures: Mapping[str, tuple[Outcome, Measure]] | None = None,
) -> Model:
    """Make a model of a function that declares a network.

    Its results are, for modes a and b of the network: ``E_a_b`` (logarithmic negativity),
    ``log_nu_a_b`` (−ln 2ν̃₋, its distance from 0 where nothing is entangled), ``n_a``,
    ``squeezing_a`` (smallest variance of a quadrature, vacuum 1/2), ``growth_rate``, ``stable``.

    Parameters
    ----------
    network : callable
        Its arguments are the parameters and must have defaults.
    name, source : str
        Of the model; the function's name if there is none.
    rate_unit : str
        Unit of the network's rates.
    measures : mapping of str to (Outcome, callable), optional
        Further results, functions of the `SteadyState`.

    Raises
    ------
    ValueError
        If an argument has no default, or the network is no legal one at the defaults.
    """
    parameters = _parameters(network)

    def declared(p: Any) -> Network | LinearModel:
        return network(**{name: getattr(p, name) for name in p.quantities()})

    def linear(p: Any) -> LinearModel:
        made = declared(p)
        return made.build() if isinstance(made, Network) else made

    labels = linear(parameters()).labels
    is_network = isinstance(declared(parameters()), Network)
    known = _measures(labels) | dict(measures or {})

    def solve(p: Any, wanted: Collection[str]) -> Mapping[str, ArrayLike]:
        model = linear(p)
        state = steady_state(model)
        found: dict[str, ArrayLike] = {
            name: known[name][1](state) for name in wanted if name in known
        }
        if "growth_rate" in wanted:
            found["growth_rate"] = growth_rate(model)
        return found | {"stable": state.stable}

    return Model(
        name=name or network.__name__,
        paper=source,
        parameters=parameters,
        results={name: outcome for name, (outcome, _) in known.items()}
        | {
            "growth_rate": Outcome(rate_unit, "largest growth rate of a supermode"),
            "stable": Outcome("", "whether a steady state exists"),
        },
        solve=solve,
        linear=linear,
        rate_unit=rate_unit,
        network=cast("Callable[[Any], Network]", declared) if is_network else None,
        moments={
            name: moment
            for name, moment in _moments(labels).items()
            if name not in (measures or {})
        },
    )


def _moments(labels: Collection[str]) -> dict[str, Moment]:
    """Results that every network has, as the steady state's."""
    found = {"growth_rate": Moment("growth_rate")}
    for a, b in combinations(labels, 2):
        found[f"E_{a}_{b}"] = Moment("E_N", (a, b))
        found[f"log_nu_{a}_{b}"] = Moment("log_nu", (a, b))
    for a in labels:
        found[f"n_{a}"] = Moment("quanta", (a,))
        found[f"squeezing_{a}"] = Moment("squeezing", (a,))
    return found


def _parameters(network: Declaration) -> type[Parameters]:
    """Turn the arguments of a function into a table of parameters."""
    hints = get_type_hints(network, include_extras=True)
    entries: list[Any] = []
    for name, argument in signature(network).parameters.items():
        if argument.default is Argument.empty:
            message = f"`{name}` of {network.__name__} must have a default, but has none"
            raise ValueError(message)
        hint: Any = hints.get(name)
        quantity = hint.__metadata__[0] if get_origin(hint) is Annotated else PLAIN
        if not isinstance(quantity, Quantity):
            message = f"`{name}` of {network.__name__} must be annotated with a Quantity first"
            raise ValueError(message)
        entries.append((name, Annotated[Value, quantity], field(default=argument.default)))
    made = make_dataclass(
        network.__name__,
        entries,
        bases=(Parameters,),
        frozen=True,
        slots=True,
        kw_only=True,
        eq=False,
    )
    return cast("type[Parameters]", made)


def _measures(labels: Collection[str]) -> dict[str, tuple[Outcome, Measure]]:
    """Results that every network has."""
    found: dict[str, tuple[Outcome, Measure]] = {}
    for a, b in combinations(labels, 2):
        entangled = Outcome("", f"logarithmic negativity of {a} and {b}")
        distance = Outcome("", f"−ln 2ν of {a} and {b}, below 0 where not entangled")
        found[f"E_{a}_{b}"] = (entangled, _of(log_negativity, a, b))
        found[f"log_nu_{a}_{b}"] = (distance, _of(log_nu, a, b))
    for a in labels:
        quanta = Outcome("", f"mean quanta of {a} beside its mean field")
        smallest = Outcome("", f"smallest variance of a quadrature of {a}, vacuum 1/2")
        found[f"n_{a}"] = (quanta, _of(_quanta, a))
        found[f"squeezing_{a}"] = (smallest, _of(squeezed_variance, a))
    return found


def _of(measure: Callable[[ArrayLike], ArrayLike], *modes: str) -> Measure:
    """Return a measure of the covariance matrix of some modes as one of the state."""

    def measured(state: SteadyState) -> ArrayLike:
        return measure(state.of(*modes))

    return measured


def _quanta(cov: ArrayLike) -> ArrayLike:
    return np.asarray(occupation(cov)[..., 0])
