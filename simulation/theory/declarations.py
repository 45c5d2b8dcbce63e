"""Parts of a network as they are declared: modes, ports, links, drives."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.baths import Convention, thermal_occupation

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mode:
    """A bosonic mode.

    Attributes
    ----------
    name : str
    detuning : array_like
        Frequency in the frame of the drive (of a mechanical mode: its frequency).
    damping : array_like
        Rate of its main port, named like the mode; 0 for none.
    convention : {"energy", "amplitude", "brownian"}
        What `damping` means, see `baths.Convention`.
    occupation : array_like, optional
        Mean quanta n̄ of the bath of that port; 0 if neither it nor a temperature is given.
    temperature, omega : array_like, optional
        Instead of `occupation`: temperature of the bath in K and angular frequency at which the
        mode meets it, in rad/s (that of the laboratory frame, whatever the unit of the rates).
    squeezing, angle : array_like
        r and φ of a squeezed bath, as of a `Port`.

    Raises
    ------
    ValueError
        If the bath is given both ways, or a temperature without its frequency.
    """

    name: str = field(kw_only=False)
    detuning: ArrayLike = 0.0
    damping: ArrayLike = 0.0
    convention: Convention = "energy"
    occupation: ArrayLike | None = None
    temperature: ArrayLike | None = None
    omega: ArrayLike | None = None
    squeezing: ArrayLike = 0.0
    angle: ArrayLike = 0.0

    def __post_init__(self) -> None:
        if (self.temperature is None) != (self.omega is None) or (
            self.temperature is not None and self.occupation is not None
        ):
            message = (
                f"the bath of {self.name} must be given by `occupation`, or by `temperature` and "
                "`omega`, but not by parts of both"
            )
            raise ValueError(message)

    @property
    def quanta(self) -> Real:
        """Mean quanta of the bath."""
        if self.temperature is not None and self.omega is not None:
            return thermal_occupation(self.omega, self.temperature)
        return np.asarray(0.0 if self.occupation is None else self.occupation, np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Port:
    """One more port of a mode, for a second mirror or a waveguide's other direction.

    Attributes
    ----------
    name, mode : str
    damping : array_like
    convention : {"energy", "amplitude"}
    occupation : array_like
        Mean thermal quanta n̄ of the bath.
    squeezing, angle : array_like
        r and φ (rad) of a broadband squeezed bath: ⟨ww⟩ = −(n̄ + ½) sinh 2r e^{iφ}, so that at
        φ = 0 the variances of its quadratures are (n̄ + ½) e^{∓2r}.
    """

    name: str = field(kw_only=False)
    mode: str
    damping: ArrayLike
    convention: Convention = "energy"
    occupation: ArrayLike = 0.0
    squeezing: ArrayLike = 0.0
    angle: ArrayLike = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gain:
    """Phase-insensitive gain of a mode by an inverted bath: do/dt = … + (g/2) o + √g w†.

    Attributes
    ----------
    mode : str
    rate : array_like
        g, the rate at which its energy would grow alone.
    occupation : array_like
        Thermal quanta of the amplifier's idler, 0 for the least noise quantum mechanics allows.
    """

    mode: str = field(kw_only=False)
    rate: ArrayLike
    occupation: ArrayLike = 0.0

    @property
    def name(self) -> str:
        """Of its bath."""
        return f"gain of {self.mode}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SharedBath:
    """One correlated field that enters two ports, instead of their own baths.

    ⟨w₁†w₂⟩ = c e^{iφ}: classically correlated noise of n̄ quanta each; or
    ⟨w₁w₂⟩ = −(n̄ + ½) sinh 2r e^{iφ}: broadband two-mode squeezed light.

    Attributes
    ----------
    first, second : str
        Names of ports that no link enters.
    occupation : array_like
        n̄, thermal quanta of each field (before squeezing).
    coherence : array_like
        c, with |c| ≤ n̄; 0 with `squeezing`.
    squeezing : array_like
        r.
    phase : array_like
        φ in rad.
    """

    first: str = field(kw_only=False)
    second: str = field(kw_only=False)
    occupation: ArrayLike = 0.0
    coherence: ArrayLike = 0.0
    squeezing: ArrayLike = 0.0
    phase: ArrayLike = 0.0

    @property
    def halves(self) -> tuple[str, str]:
        """Names of the independent baths w₊, w₋ with w₁, w₂e^{−iφ} = (w₊ ± w₋)/√2."""
        return f"{self.first} + {self.second}", f"{self.first} - {self.second}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bath:
    """State of one white bath: thermal quanta, squeezing r and its angle (rad)."""

    occupation: Real
    squeezing: Real
    angle: Real

    @classmethod
    def of(
        cls, occupation: ArrayLike, squeezing: ArrayLike = 0.0, angle: ArrayLike = 0.0
    ) -> "Bath":
        """Make one of plain numbers."""
        return cls(
            occupation=np.asarray(occupation, np.float64),
            squeezing=np.asarray(squeezing, np.float64),
            angle=np.asarray(angle, np.float64),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Link:
    """The output of port `source` drives port `target` and not vice versa.

    Attributes
    ----------
    source, target : str
        Names of ports (a mode's main port has the mode's name).
    efficiency : array_like
        η in [0, 1].
    phase : array_like
        φ in rad.
    occupation : array_like
        Mean quanta of the bath that fills in for the lost light.
    """

    source: str = field(kw_only=False)
    target: str = field(kw_only=False)
    efficiency: ArrayLike = 1.0
    phase: ArrayLike = 0.0
    occupation: ArrayLike = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drive:
    """Coherent field on a port: dα/dt = … + ε, links carry the field on.

    `amplitude` ε (complex) is √(κ P/ħω) for a port of energy rate κ that receives the power P.
    """

    port: str = field(kw_only=False)
    amplitude: ArrayLike


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BareDrift:
    """A term do_target/dt = … + c o_source that no Hamiltonian or link makes.

    It brings no noise, so that most of them break the commutators: `Network.build` refuses those.
    """

    target: str = field(kw_only=False)
    source: str = field(kw_only=False)
    rate: ArrayLike


def bidirectional(
    first: tuple[str, str],
    second: tuple[str, str],
    *,
    efficiency: ArrayLike = 1.0,
    phase: ArrayLike = 0.0,
    occupation: ArrayLike = 0.0,
) -> tuple[Link, Link]:
    """Two-way waveguide between two modes: `first` and `second` are their (right, left) ports.

    The right-going wave leaves the first mode, the left-going one the second; each mode couples
    to both. With equal ports of energy rate κ each, the modes are coupled by κ√η e^{iφ} both ways,
    decay at the energy rate 2κ, and share the noise κ√η cos φ.
    """
    return (
        Link(first[0], second[0], efficiency=efficiency, phase=phase, occupation=occupation),
        Link(second[1], first[1], efficiency=efficiency, phase=phase, occupation=occupation),
    )
