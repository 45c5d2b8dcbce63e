"""What limits R_m in a run, learned from its own blocks and kept beside them."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labkit.run import RunFolder
from labkit.run.lines import write_whole

if TYPE_CHECKING:
    from simulation.inference.budget import NoiseBudget
    from simulation.theory.dlcz.presets import DataSet

POSTERIOR = "posterior.nc"
BUDGET = "noise_budget.json"
"""In a run folder: posterior of the run's own data, and the noise budget that follows."""

PICTURE = "noise_budget"

DRAWS = 200
"""Of the posterior, for the intervals of a budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """A noise budget, and how far the model behind it can be trusted.

    Attributes
    ----------
    budget : NoiseBudget
    preset : str
        Where the medians of the priors come from.
    deviance, p_value : float
        Of the run's data under the model at its best.
    remarks : tuple of str
        What the inference says beside: wrong models, degeneracies.
    """

    budget: "NoiseBudget"
    preset: str
    deviance: float
    p_value: float
    remarks: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return self.budget.to_dict() | {
            "preset": self.preset, "deviance": self.deviance, "p_value": self.p_value,
            "remarks": list(self.remarks),
        }  # fmt: skip

    @property
    def fit(self) -> str:
        """How the model fits, in a sentence."""
        judged = "fits" if self.p_value >= 0.01 else "does NOT fit"
        return (
            f"the model {judged} the run's data: deviance {self.deviance:.0f}, p = "
            f"{self.p_value:.2g}; priors around {self.preset}; model-based, no witness"
        )


def learn(
    folder: RunFolder,
    *,
    preset: "DataSet" = "optimal",
    draws: int | None = None,
    seed: int = 0,
    tell: Callable[[str], object] = lambda _: None,
    known: Callable[[Learned], object] = lambda _: None,
) -> Learned:
    """Infer the model's parameters from a run alone; keep the posterior and the noise budget.

    Parameters
    ----------
    folder : RunFolder
    preset : {"optimal", "extended"}
        Set of the paper around which the priors lie.
    draws : int, optional
        Proposals of the importance sampling; by default as many as `labkit infer` takes.
    seed : int
    tell : callable, optional
        Told the progress.
    known : callable, optional
        Given what has been learned as soon as the noise budget is kept; the posterior and the
        picture follow.

    Raises
    ------
    ValueError
        If the run holds nothing to infer from, or nothing interferes in it.
    simulation.inference.likelihood.NoMaximumError
        If no parameters fit.
    """
    from labkit.campaign import read_campaign
    from simulation.inference.budget import noise_budget
    from simulation.inference.infer import USUAL_DRAWS, infer
    from simulation.inference.operation import Operation
    from simulation.theory.dlcz import riedinger2018

    centre, name = riedinger2018(preset), f"riedinger2018({preset})"
    tell("reading the blocks")
    campaign, _ = read_campaign([folder.path], centre)
    found = infer(
        campaign, centre, preset_name=name, draws=USUAL_DRAWS if draws is None else draws,
        seed=seed, tell=tell,
    )  # fmt: skip
    tell("budgeting")
    learned = Learned(
        budget=noise_budget(Operation.of_posterior(found, DRAWS)), preset=name,
        deviance=found.deviance, p_value=found.p_value, remarks=found.remarks,
    )  # fmt: skip
    text = json.dumps(learned.to_dict(), indent=1, allow_nan=False) + "\n"
    write_whole(folder.path / BUDGET, text)
    known(learned)
    part = folder.path / f".{POSTERIOR}.part"
    found.save(part)
    part.replace(folder.path / POSTERIOR)
    if (figure := learned.budget.figure().get_figure(root=True)) is not None:
        (folder.path / "figures").mkdir(exist_ok=True)
        figure.savefig(folder.path / "figures" / f"{PICTURE}.png", dpi=130)
    return learned


def learned_of(folder: RunFolder) -> Learned | None:
    """Return what `learn` has kept in a run folder; None if nothing is there.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    from simulation.inference.budget import NoiseBudget

    path = folder.path / BUDGET
    try:
        plain: Any = json.loads(path.read_text(encoding="utf-8"))
        return Learned(
            budget=NoiseBudget.from_dict(plain), preset=str(plain["preset"]),
            deviance=float(plain["deviance"]), p_value=float(plain["p_value"]),
            remarks=tuple(map(str, plain["remarks"])),
        )  # fmt: skip
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = (
            f"{path}: must be a noise budget as `labkit budget RUN` writes it, but cannot be read "
            f"({type(error).__name__}: {error}); make it anew with that command"
        )
        raise ValueError(message) from None
