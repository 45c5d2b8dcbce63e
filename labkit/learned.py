"""What limits R_m in a run, learned from its own blocks and kept beside them."""

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Self

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
    part = folder.path / f".{POSTERIOR}.part"
    found.save(part)
    part.replace(folder.path / POSTERIOR)
    text = json.dumps(learned.to_dict(), indent=1, allow_nan=False) + "\n"
    write_whole(folder.path / BUDGET, text)
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


class LearningProcess:
    """A process of its own that makes ready to `learn` about a run, and begins when told to.

    To be used as a context manager. It gives way to other processes, touches nothing before it is
    told to begin, and ends with the process that started it, however that ends.

    Parameters
    ----------
    folder : RunFolder
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "labkit.learned", str(self._folder.path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
            start_new_session=True,  # a Ctrl-C in the terminal is not for it
        )  # fmt: skip

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._close()

    def _close(self) -> None:
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def begin(self) -> None:
        """Let it begin; one that has ended while it waited is replaced."""
        if self._process.poll() is not None:
            self._close()
            self._process = self._start()
        if self._process.stdin is not None:
            self._process.stdin.write(_BEGIN)

    def wait(self) -> str:
        """Wait for its end and return how the model fits, `Learned.fit`.

        Raises
        ------
        ValueError
            If these data cannot tell, as `learn` does.
        RuntimeError
            If the process fails.
        """
        held, self._process.stdin = self._process.stdin, None  # it ends when this is closed
        try:
            output, errors = self._process.communicate()
        finally:
            self._process.stdin = held
        said, code = output.decode().strip(), self._process.returncode
        if code == 0:
            return said
        if code == _CANNOT_TELL:
            raise ValueError(said)
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        message = f"the process that learns must end well, but ended with {code}"
        raise RuntimeError(f"{message}: {last}" if last else message)


_BEGIN = b"1"

_CANNOT_TELL = 3
"""Exit code: nothing is wrong but that the data do not tell."""


def _load() -> None:
    """Load what `learn` needs, down to what files and pictures load as they are written."""
    from matplotlib.figure import Figure
    from xarray import Dataset

    from labkit.procedures import options_of

    inference = (f"simulation.inference.{name}" for name in ("budget", "infer"))
    for name in ("labkit.campaign", "ruamel.yaml", *inference):
        import_module(name)
    options_of("autopilot", {}, "autopilot")
    Dataset({"nothing": ("draw", [0.0])}).to_netcdf(engine="h5netcdf")
    Figure().savefig(BytesIO(), format="png")


def main() -> None:
    """Make ready; when told so, learn from the run folder that is named.

    Says how the model fits, or why nobody can tell.
    """
    if hasattr(os, "nice"):
        os.nice(_GIVING_WAY)
    _load()
    from simulation.inference.sampling import NoMaximumError

    if os.read(sys.stdin.fileno(), 1) != _BEGIN:
        return
    Thread(target=_end_with_parent, daemon=True).start()
    try:
        said, code = learn(RunFolder(path=Path(sys.argv[1]))).fit, 0
    except (ValueError, NoMaximumError) as error:
        said, code = str(error), _CANNOT_TELL
    sys.stdout.buffer.write(said.encode())
    gc.freeze()  # as `labkit.cli.main` does
    sys.exit(code)


_GIVING_WAY = 10
"""Niceness: the run that measures meanwhile comes first."""


def _end_with_parent() -> None:
    """Wait for the other end of stdin to be closed, which only the parent has open."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    main()
