"""Measured tables that turn a drive voltage into what it does, and back."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class TransmissionTable:
    """Transmission of an attenuator against its voltage; between points log-linear.

    Attributes
    ----------
    voltages : tuple of float
        V, rising.
    transmissions : tuple of float
        Between 0 (excluded) and 1, strictly rising or strictly falling.

    Raises
    ------
    ValueError
        If the table is too short, or not as said.
    """

    voltages: tuple[float, ...]
    transmissions: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.voltages) != len(self.transmissions) or len(self.voltages) < 2:
            message = (
                "a calibration table must have two or more pairs of voltage and transmission, but "
                f"has {len(self.voltages)} voltages and {len(self.transmissions)} transmissions"
            )
            raise ValueError(message)
        if not all(low < high for low, high in pairwise(self.voltages)):
            message = f"`voltages` must rise, but are {self.voltages}"
            raise ValueError(message)
        if not all(0 < value <= 1 for value in self.transmissions):
            message = f"`transmissions` must be above 0 and at most 1, but are {self.transmissions}"
            raise ValueError(message)
        signs = {math.copysign(1, b - a) * (a != b) for a, b in pairwise(self.transmissions)}
        if len(signs) != 1 or 0 in signs:
            message = (
                "`transmissions` must only rise or only fall with voltage, but are "
                f"{self.transmissions}; leave out repeated and noisy points"
            )
            raise ValueError(message)

    @classmethod
    def of(cls, pairs: Iterable[Iterable[float]]) -> Self:
        """Make a table from pairs (V, transmission) in any order."""
        rows = sorted((float(voltage), float(value)) for voltage, value in pairs)
        return cls(
            voltages=tuple(voltage for voltage, _ in rows),
            transmissions=tuple(value for _, value in rows),
        )

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a CSV file of two columns, V and transmission, with one heading line.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            Naming the file, if it holds no such table.
        """
        try:
            return cls.of(np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2).tolist())
        except ValueError as error:
            message = f"calibration {path}: {error}"
            raise ValueError(message) from error

    @property
    def darkest(self) -> float:
        """Voltage of the smallest transmission, V."""
        return self.voltages[int(np.argmin(self.transmissions))]

    def transmission_at(self, voltage: float) -> float:
        """Return the transmission at a voltage within the table's range.

        Raises
        ------
        ValueError
            If `voltage` is outside.
        """
        self._check("voltage", voltage, self.voltages, "V")
        return float(np.exp(np.interp(voltage, self.voltages, np.log(self.transmissions))))

    def voltage_at(self, transmission: float) -> float:
        """Return the voltage that gives a transmission.

        Raises
        ------
        ValueError
            If `transmission` is not within the table.
        """
        self._check("transmission", transmission, self.transmissions, "")
        logarithms = np.log(np.asarray(self.transmissions))
        order = np.argsort(logarithms)
        voltages = np.asarray(self.voltages)[order]
        return float(np.interp(math.log(transmission), logarithms[order], voltages))

    def _check(self, name: str, value: float, known: tuple[float, ...], unit: str) -> None:
        low, high = min(known), max(known)
        if not low <= value <= high:
            message = (
                f"`{name}` must be {low:g} to {high:g} {unit}, the calibrated range, "
                f"but is {value:g}"
            )
            raise ValueError(" ".join(message.split()))
