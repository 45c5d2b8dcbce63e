"""Every quoted number of the papers and protocols beside ours, with a verdict and the command."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from html import escape
from math import isfinite
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Final

from analysis.published import RIEDINGER_2018
from analysis.yamlfile import read_yaml
from simulation.figures.catalogue import PAPERS

REPRODUCED: Final = "reproduced"
WITHIN_ROUNDING: Final = "within rounding"
NOT: Final = "not"


_QUADRATURE: Final = (
    "ours is exact quadrature; the paper discretises the densities, in steps it does not state"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduced:
    """One quoted number.

    Attributes
    ----------
    paper : str
        Short name of the seed paper ("riedinger2018"), or name of the protocol's model.
    source : str
        "paper" (printed there), "script" (a public script that was run), or "reference" (the
        model's own equations solved another way; its last digit does not count).
    where, name : str
    printed : str
    ours : float or None
        None where the model has no steady state.
    verdict : str
        "reproduced": ours rounds to what is printed, or the inequality holds; "within rounding":
        one unit of the last digit off, as rounded inputs allow; else "not".
    because : str
        Why it is not reproduced, where we know.
    command : str
        That computes ours.
    """

    paper: str
    source: str
    where: str
    name: str
    printed: str
    ours: float | None
    verdict: str
    because: str
    command: str


def reproduce(paper: str | None = None) -> list[Reproduced]:
    """Compute all quoted numbers, or those of one paper.

    Parameters
    ----------
    paper : str, optional
        Name of a paper or protocol, see `papers`; or a paper's number, "000" to "004".

    Raises
    ------
    KeyError
        If nothing is quoted of such a paper.
    """
    paper = PAPERS.get(paper or "", paper)
    if paper is not None and paper not in papers():
        message = f"no numbers of paper {paper!r} are quoted; there are {', '.join(papers())}"
        raise KeyError(message)
    entries = [entry for entry in _quoted() if paper in (None, entry["paper"])]
    found = [number for entry in entries for number in _computed(entry)]
    return found + (list(_witnesses()) if paper in (None, "riedinger2018") else [])


def papers() -> tuple[str, ...]:
    """Return the papers and protocols of which numbers are quoted."""
    return tuple(dict.fromkeys(entry["paper"] for entry in _quoted()))


def verdict(printed: str, ours: float, *, unit: float | None = None) -> str:
    """Compare a number with a printed one.

    Parameters
    ----------
    printed : str
        Its last digit is the unit, unless `unit` is given; or an inequality, "< 1" or "> 2".
    ours : float
    unit : float, optional
    """
    if printed[0] in "<>":
        side, bound = printed.split()
        holds = ours < float(bound) if side == "<" else ours > float(bound)
        return REPRODUCED if holds else NOT
    step = _last_digit(printed) if unit is None else unit
    if not isfinite(ours):
        return NOT
    off = abs(ours - float(printed)) / step * (1 - 1e-9)
    return REPRODUCED if off <= 0.5 else WITHIN_ROUNDING if off <= 1 else NOT


def summary(numbers: Sequence[Reproduced]) -> dict[str, int]:
    """Return how many numbers there are of each verdict."""
    names = (REPRODUCED, WITHIN_ROUNDING, NOT)
    return {name: sum(number.verdict == name for number in numbers) for name in names}


def as_dict(numbers: Sequence[Reproduced]) -> dict[str, object]:
    """Return plain types for JSON."""
    return {"summary": summary(numbers), "numbers": [asdict(number) for number in numbers]}


def page(numbers: Sequence[Reproduced]) -> str:
    """Return a page of HTML that stands alone."""
    heads = ("paper", "source", "where", "number", "quoted", "ours", "verdict", "command")
    rows = "\n".join(_row(number) for number in numbers)
    counted = ", ".join(f"{count} {name}" for name, count in summary(numbers).items())
    cells = "".join(f"<th>{head}</th>" for head in heads)
    return _PAGE.format(counted=counted, heads=cells, rows=rows)


def shown(ours: float | None) -> str:
    """Return our number as text."""
    return "no steady state" if ours is None else f"{ours:.12g}"


def _row(number: Reproduced) -> str:
    said = f"{number.verdict}, because {number.because}" if number.because else number.verdict
    cells = (
        number.paper,
        number.source,
        number.where,
        number.name,
        number.printed,
        shown(number.ours),
        said,
        number.command,
    )
    kind = number.verdict.split()[0]
    return f'<tr class="{kind}">' + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _quoted() -> list[dict[str, Any]]:
    entries: Any = read_yaml(Path(__file__).with_name("quoted.yaml"))
    return list(entries)


def _computed(entry: Mapping[str, Any]) -> Iterator[Reproduced]:
    if "model" not in entry:
        ours, command = _called(entry)
        yield _judged(entry, entry["name"], entry["printed"], ours, command)
        return
    from simulation.theory.models import get

    model = get(entry["model"])
    found = model.evaluate([name.split(".")[0] for name in entry["values"]], **entry["set"])
    settings = [f"{name}={value}" for name, value in entry["set"].items()]
    words = ["labkit", "theory", "point", model.name]
    command = shlex.join([*words, *(word for text in settings for word in ("--set", text))])
    for path, printed in entry["values"].items():
        name, _, component = path.partition(".")
        value = found[name]
        if component:
            value = value[model.results[name].components.index(component)]
        yield _judged(entry, path.replace(".", " "), printed, float(value), command)


def _called(entry: Mapping[str, Any]) -> tuple[float, str]:
    """Call a function of the theory; return its value and the command that does it."""
    module, name = entry["call"].split(":")
    first, shown = [], ""
    if "parameters" in entry:
        from simulation.theory.models import get

        changed = entry.get("set", {})
        first = [get(entry["parameters"]).parameters(**changed)]
        settings = ", ".join(f"{key}={value!r}" for key, value in changed.items())
        shown = f"get('{entry['parameters']}').parameters({settings}), "
    factor = float(entry.get("factor", 1))
    ours = float(resolve_name(entry["call"])(*first, **entry["with"])) * factor
    arguments = ", ".join(f"{key}={value!r}" for key, value in entry["with"].items())
    more = "from simulation.theory.models import get; " if first else ""
    text = f"{more}from {module} import {name}; print({factor:g} * {name}({shown}{arguments}))"
    return ours, shlex.join(["python", "-c", text])


def _witnesses() -> Iterator[Reproduced]:
    """R_m, its intervals and confidences from the published counts."""
    from analysis.witness.estimate import witness

    for which, published in RIEDINGER_2018.items():
        estimated = witness(published.counts).named
        call = f"labkit.witness(RIEDINGER_2018['{which}'].counts)"
        text = f"import labkit; from analysis.published import RIEDINGER_2018; print({call})"
        command = shlex.join(["python", "-c", text])
        entry = {"paper": "riedinger2018", "source": "paper", "where": f"R_m, {which} phases"}
        entry["because"] = _QUADRATURE
        for name, printed in published.witness.items():
            posterior = estimated[name]
            parts = (printed.value, printed.plus, printed.minus)
            last = min(_last_digit(str(part)) for part in parts)  # of "+0.210", which is 0.21
            sides = {
                "+": (printed.plus, posterior.high - posterior.mode),
                "−": (printed.minus, posterior.mode - posterior.low),
            }
            yield _judged(entry, f"R_m {name}", str(printed.value), posterior.mode, command)
            for sign, (quoted, ours) in sides.items():
                text = str(Decimal(str(quoted)).quantize(Decimal(str(last))))
                yield _judged(entry, f"R_m {name} {sign}", text, ours, command)
        for bound, quoted in published.confidence.items():
            ours = estimated["sym"].confidence(bound)
            yield _judged(entry, f"P(R_m < {bound:g})", str(quoted), ours, command)
        for bound, quoted in published.confidence_1.items():
            ours = estimated["1"].confidence(bound)
            yield _judged(entry, f"P(R_m 1 < {bound:g})", f"{quoted:.4f}", ours, command)


def _judged(
    entry: Mapping[str, Any], name: str, printed: str, ours: float, command: str
) -> Reproduced:
    unit = entry.get("unit")
    if entry["source"] == "reference":
        unit = 10 * _last_digit(printed)
    reason = entry.get("differs", {}).get(name.replace(" ", ".", 1), entry.get("because", ""))
    said = verdict(printed, ours, unit=unit)
    return Reproduced(
        paper=entry["paper"],
        source=entry["source"],
        where=entry["where"],
        name=name,
        printed=printed,
        ours=ours if isfinite(ours) else None,
        verdict=said,
        because=reason if said != REPRODUCED else "",
        command=command,
    )


def _last_digit(printed: str) -> float:
    exponent = Decimal(printed).as_tuple().exponent
    return 10.0 ** int(exponent)


_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>labkit: quoted numbers</title><style>
body {{ font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222 }}
table {{ border-collapse: collapse }}
th, td {{ text-align: left; padding: .2em .6em; vertical-align: top }}
th, td {{ border-bottom: 1px solid #ddd }}
td:last-child {{ font-family: monospace; font-size: 12px }}
.not td:nth-child(7) {{ color: #a11 }} .within td:nth-child(7) {{ color: #850 }}
</style></head><body><h1>Quoted numbers</h1><p>{counted}. Source: <i>paper</i>, printed there;
<i>script</i>, a public script that was run; <i>reference</i>, the model's equations solved another
way.</p>
<table><tr>{heads}</tr>
{rows}
</table></body></html>
"""
