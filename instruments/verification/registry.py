"""Which drivers have been verified, on which firmware: what reports of `labkit lab verify` show."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A report of somebody with hardware, in which every check passed.

    Attributes
    ----------
    driver, model, firmware : str
        As the report has them.
    date : str
        ISO 8601.
    report : str
        Where the report can be read.
    """

    driver: str
    model: str
    firmware: str
    date: str
    report: str


VERIFIED: tuple[Verified, ...] = ()
"""Every driver that was verified on hardware. There is none yet."""


def was_verified(driver: str, model: str | None, firmware: str | None) -> bool:
    """Tell whether a driver has been verified on this model and firmware."""
    return any(
        (row.driver, row.model, row.firmware) == (driver, model, firmware) for row in VERIFIED
    )
