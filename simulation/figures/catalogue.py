"""Which figures there are, and how to ask for one, some or all of them."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from simulation.figures import fan2026, liu2024, riedinger2018, tan2020, yu2020
from simulation.figures.data import FigureData
from simulation.theory.models import Choice, get

Compute = Callable[[int, Mapping[str, float]], FigureData]

POINTS: Final = 201
"""Points per axis, unless asked otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to make one figure.

    Attributes
    ----------
    name : str
        Paper and figure, for example "yu2020-2".
    model : str
        Whose parameters it takes.
    letters : str
        Its panels; "" for a figure of one.
    compute : callable
        From points per axis and changed parameters.
    """

    name: str
    model: str
    letters: str
    compute: Compute

    @property
    def ids(self) -> tuple[str, ...]:
        """Names that ask for it: the figure, and each of its panels."""
        return (self.name, *(f"{self.name}{letter}" for letter in self.letters))


_RECIPES: Final = (
    Recipe(name="fan2026-2", model="fan2026_cascade", letters="abcd", compute=fan2026.figure_2),
    Recipe(name="fan2026-3", model="fan2026_cascade", letters="abcdef", compute=fan2026.figure_3),
    Recipe(name="fan2026-6", model="fan2026_pulsed", letters="", compute=fan2026.figure_6),
    Recipe(name="liu2024-2", model="liu2024", letters="ab", compute=liu2024.figure_2),
    Recipe(name="liu2024-3", model="liu2024", letters="abcdef", compute=liu2024.figure_3),
    Recipe(name="liu2024-4", model="liu2024", letters="", compute=liu2024.figure_4),
    Recipe(name="tan2020-2", model="tan2020", letters="abcd", compute=tan2020.figure_2),
    Recipe(name="tan2020-3", model="tan2020", letters="abcdef", compute=tan2020.figure_3),
    Recipe(name="tan2020-4", model="tan2020", letters="ab", compute=tan2020.figure_4),
    Recipe(
        name="riedinger2018-1", model="riedinger2018", letters="ab", compute=riedinger2018.figure_1
    ),
    Recipe(
        name="riedinger2018-3", model="riedinger2018", letters="", compute=riedinger2018.figure_3
    ),
    Recipe(
        name="riedinger2018-4",
        model="riedinger2018",
        letters="abcd",
        compute=riedinger2018.figure_4,
    ),
    Recipe(
        name="riedinger2018-S1", model="riedinger2018", letters="", compute=riedinger2018.figure_s1
    ),
    Recipe(
        name="riedinger2018-S3", model="riedinger2018", letters="", compute=riedinger2018.figure_s3
    ),
    Recipe(name="yu2020-2", model="yu2020", letters="ab", compute=yu2020.figure_2),
    Recipe(name="yu2020-3", model="yu2020", letters="", compute=yu2020.figure_3),
    Recipe(name="yu2020-4", model="yu2020", letters="ab", compute=yu2020.figure_4),
)

FIGURES: Final[Mapping[str, Recipe]] = MappingProxyType(
    {recipe.name: recipe for recipe in _RECIPES}
)
"""Every data figure of the five papers by name."""

PAPERS: Final = {
    "000": "fan2026",
    "001": "liu2024",
    "002": "tan2020",
    "003": "riedinger2018",
    "004": "yu2020",
}
"""The papers by the numbers that they also go by."""


@dataclass(frozen=True, slots=True)
class FigureChoice:
    """A figure, or some of its panels."""

    recipe: Recipe
    letters: str

    @property
    def name(self) -> str:
        """File name stem: the figure's, with the panels' letters if they are not all."""
        return self.recipe.name + ("" if self.letters == self.recipe.letters else self.letters)

    def compute(
        self, points: int = POINTS, changes: Mapping[str, float] = MappingProxyType({})
    ) -> FigureData:
        """Compute the figure's data, the chosen panels only.

        Parameters
        ----------
        points : int
            Per axis, at least 2.
        changes : mapping of str to float
            Parameters of the model that differ from the paper's; the axes of a panel keep their
            range. The caption then says what was changed instead of what reproduces.

        Raises
        ------
        ValueError
            If there are too few points, a value is out of range, or a parameter is a word, which
            no figure holds fixed.
        KeyError
            If the model has no such parameter.
        """
        if points < 2:
            message = f"`points` must be at least 2, but is {points}"
            raise ValueError(message)
        parameters = get(self.recipe.model).parameters
        for name in changes:
            if isinstance(parameters.quantities()[parameters.known(name)].allowed, Choice):
                message = f"`{name}` must stay, figure {self.recipe.name} shows all its choices"
                raise ValueError(message)
        data = self.recipe.compute(points, changes)
        if changes:
            changed = ", ".join(f"{name} = {value:g}" for name, value in changes.items())
            text = f"{data.parameters} Changed by you: {changed}."
            data = replace(data, parameters=text, reproduces="", differs="", finding="")
        if self.letters == self.recipe.letters:
            return data
        panels = [panel for panel in data.panels if panel.panel in self.letters]
        return replace(data, name=self.name, panels=panels)


def choose(ids: Iterable[str]) -> list[FigureChoice]:
    """Find figures by name.

    Parameters
    ----------
    ids : iterable of str
        A paper ("yu2020"), a figure ("yu2020-2") or a panel ("yu2020-2a"), or the same with the
        paper's number ("004-2a"); ":" for "-" is fine.

    Returns
    -------
    list of FigureChoice
        In the catalogue's order, panels of one figure together.

    Raises
    ------
    KeyError
        If there is no such figure; the nearest are offered.
    """
    wanted: dict[str, set[str]] = {}
    for text in ids:
        for recipe, letters in _find(text):
            wanted.setdefault(recipe.name, set()).update(letters or {""})
    return [
        FigureChoice(recipe, "".join(letter for letter in recipe.letters if letter in wanted[name]))
        for name, recipe in FIGURES.items()
        if name in wanted
    ]


def everything() -> list[FigureChoice]:
    """Return all figures with all panels."""
    return [FigureChoice(recipe, recipe.letters) for recipe in FIGURES.values()]


def _find(text: str) -> list[tuple[Recipe, str]]:
    name = re.sub(r"[\s:/_.]+", "-", text.strip())
    name = PAPERS.get(name[:3], name[:3]) + name[3:]
    of_paper = [(r, r.letters) for key, r in FIGURES.items() if key.partition("-")[0] == name]
    if of_paper:
        return of_paper
    by_id = {key.lower(): recipe for recipe in FIGURES.values() for key in recipe.ids}
    if name.lower() in by_id:
        recipe = by_id[name.lower()]
        return [(recipe, name[len(recipe.name) :].lower() or recipe.letters)]
    known = [key for recipe in FIGURES.values() for key in recipe.ids]
    near = get_close_matches(name, known, n=3, cutoff=0.5) or list(FIGURES)
    message = f"no figure {text!r}; nearest: {', '.join(near)}"
    raise KeyError(message)
