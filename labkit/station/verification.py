"""Run the bench checks of a station's instruments and say what was found."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from instruments.verification.benches import bench_of, checks_of
from instruments.verification.checks import Check, Step
from instruments.verification.registry import was_verified
from labkit.station.config import StationFile
from labkit.station.ending import said

Status = Literal["passed", "failed", "skipped"]
Prompt = Callable[[str], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of a check.

    Attributes
    ----------
    check, step, expected, observed : str
    status : Status
    seconds : float
    """

    check: str
    step: str
    expected: str
    observed: str
    status: Status
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedInstrument:
    """An instrument's findings.

    Attributes
    ----------
    name, driver : str
    vendor, model, serial, firmware : str or None
    before : str
        What had to hold before.
    known : bool
        Whether the driver has been verified on this firmware before.
    findings : tuple of Finding
    """

    name: str
    driver: str
    vendor: str | None
    model: str | None
    serial: str | None
    firmware: str | None
    before: str
    known: bool
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationReport:
    """What a verification found; holds no address, user or path.

    Attributes
    ----------
    labkit, started : str
        Version, and time by ISO 8601.
    virtual : bool
        Whether the instruments were simulated: then nothing is verified but the drivers' code.
    allowed : tuple of str
        Of ``light`` and ``bias``.
    instruments : tuple of VerifiedInstrument
    problems : dict of str to str
        Instruments that could not be opened, and why.
    """

    labkit: str
    started: str
    virtual: bool
    allowed: tuple[str, ...]
    instruments: tuple[VerifiedInstrument, ...]
    problems: dict[str, str]

    @property
    def failed(self) -> tuple[str, ...]:
        """Instruments that could not be opened or failed a check."""
        bad = (one.name for one in self.instruments if any(_failed(one)))
        return (*self.problems, *bad)

    def to_plain(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {**asdict(self), "failed": list(self.failed)}


def verify(
    file: StationFile,
    instruments: Mapping[str, Any],
    *,
    names: Iterable[str] = (),
    allowed: Iterable[str] = (),
    problems: Mapping[str, str] | None = None,
    secrets: Iterable[str] = (),
    prompt: Prompt | None = None,
) -> VerificationReport:
    """Check open instruments, each step on all of them before the next.

    Parameters
    ----------
    file : StationFile
    instruments : mapping of str to Instrument
        In their safe state.
    names : iterable of str, optional
        Which; by default all.
    allowed : iterable of str
        Of ``light`` and ``bias``: steps that are skipped otherwise.
    problems : mapping of str to str, optional
        Instruments that could not be opened.
    secrets : iterable of str
        Texts, such as addresses, that the report must not show.
    prompt : callable, optional
        Tells somebody what to do at an instrument, and returns when it is done; without it the
        steps that need hands are skipped.

    Raises
    ------
    ValueError
        If a name is not in the station.
    """
    from labkit import __version__

    started, wanted, free = datetime.now(UTC), list(names), frozenset(allowed)
    if unknown := [name for name in wanted if name not in file.instruments]:
        message = f"no instrument {unknown[0]!r}; there are {', '.join(file.instruments)}"
        raise ValueError(message)
    hidden = sorted({*secrets, *_secrets(file)}, key=len, reverse=True)
    chosen = {n: i for n, i in instruments.items() if not wanted or n in wanted}
    found: dict[str, list[Finding]] = {name: [] for name in chosen}
    for step in get_args(Step):
        for name, instrument in chosen.items():
            for check in checks_of(instrument):
                if check.step == step:
                    found[name].append(_run(check, instrument, free, hidden, prompt))
    told = problems or {}
    return VerificationReport(
        labkit=__version__,
        started=started.isoformat(timespec="seconds"),
        virtual=file.config.world is not None,
        allowed=tuple(sorted(free)),
        instruments=tuple(_verified(n, i, found[n], hidden) for n, i in chosen.items()),
        problems={n: _clean(t, hidden) for n, t in told.items() if not wanted or n in wanted},
    )


def _run(
    check: Check,
    instrument: Any,
    allowed: frozenset[str],
    hidden: list[str],
    prompt: Prompt | None,
) -> Finding:
    begin = time.perf_counter()
    status: Status = "passed"
    if check.step in ("light", "bias") and check.step not in allowed:
        status, observed = "skipped", f"needs --allow-{check.step}"
    elif check.step == "hands" and prompt is None:
        status, observed = "skipped", "needs --by-hand"
    else:
        if check.step == "hands" and prompt is not None:
            prompt(f"{instrument.name}: {check.hands}")
        try:
            observed = check.run(instrument)
        except Exception as error:  # a check may fail in any way; the others go on
            status, observed = "failed", said(error)
    return Finding(
        check=check.name,
        step=check.step,
        expected=check.expected,
        observed=_clean(observed, hidden),
        status=status,
        seconds=time.perf_counter() - begin,
    )


def _verified(
    name: str, instrument: Any, findings: list[Finding], hidden: list[str]
) -> VerifiedInstrument:
    try:
        idn = instrument.get_idn()
    except Exception:  # told as a failed check already
        idn = {}
    fields = {
        key: None if idn.get(key) is None else _clean(str(idn[key]), hidden)
        for key in ("vendor", "model", "serial", "firmware")
    }
    driver = type(instrument).__name__
    return VerifiedInstrument(
        name=name,
        driver=driver,
        before=bench_of(instrument).before,
        known=was_verified(driver, fields["model"], fields["firmware"]),
        findings=tuple(findings),
        **fields,
    )


def _failed(one: VerifiedInstrument) -> Iterator[bool]:
    return (finding.status == "failed" for finding in one.findings)


def _secrets(file: StationFile) -> Iterator[str]:
    """Give what an entry says of where an instrument is."""
    yield str(file.path)
    for entry in file.instruments.values():
        init = entry.get("init")
        places = init if isinstance(init, Mapping) else {}
        for value in (entry.get("address"), *(places.get(k) for k in PLACES)):
            if isinstance(value, str):
                yield value


PLACES = ("address", "port", "library", "folder", "key_file", "certificate")
"""Options that say where something is."""


def _clean(text: str, hidden: list[str]) -> str:
    for secret in hidden:
        text = text.replace(secret, "…")
    return text
