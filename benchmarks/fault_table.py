"""The page about faults: what came of each, what is exempt, and why some went on unnoticed."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

CHANGE = 0.3
"""Part by which the click rate of a block that counts may differ from an untroubled run's."""

EXEMPT = {
    "bias stick": (
        {"snspd"},
        "Photon Spot bias electronics answer nothing: whether one has obeyed cannot be found out",
    ),
}
"""By fault: instruments that nobody can know to be unsafe, and why."""

_VERDICT = "changes hardly a rate: the conditions of the verdict find it"
EXPLAINED: tuple[tuple[str, str], ...] = (
    (r".* delay \|", "replies come 20 ms late, five times: in time"),
    (r"\w+ \w+ once \| making safe", "the safe state is asked for again, on a fresh link"),
    (r"fridge .*\| making safe", "nothing in the fridge has to be made safe"),
    (r"\w+ error \|", "an entry in the error queue that no command of the run has caused"),
    (r"\w+ \w+ once \| (opening|switching)", "the reply is one that is asked for twice"),
    (r"wavemeter .*\| making safe", "a wavemeter has no part in it"),
    (r"wavemeter .* once", "a wavemeter without a value is asked once more"),
    (r"awg stuck SEQ:SEL", "what is loaded goes into the sequence that is selected, and it plays"),
    (r"timeharp .*\| making safe", "a tagger has no light or bias: told, but not as unsafe"),
    (r"\w+_meter .*\| making safe", "nothing in a meter has to be made safe"),
    (r"reflection_meter", "no part of a witness needs it: `identify` does"),
    (r"lock stuck [LU]LIM", "limits narrower than asked for are obeyed, and the lock holds"),
    (r"afg stuck (DATA:DEF|SOUR1:PULS:PER)", "plays no part: pulses are triggered, and no samples"),
    (r"daq stuck Dev1/ao[23]", "stands where it is wanted: EOM bias and stretcher rest at 0 V"),
    (r"laser_gain", "rates change by less than 30 %"),
    (r"modulator_sign", "turns the phase, changes no rate: `phase_sweep` finds it"),
    (r"swapped_detectors", "exchanges names, not clicks: R_m is the same"),
    (r"(arm_|power_)drift|arm_transmission|filter_drift", "rates change by less than 30 %"),
    (r"(read_)?splitting|polarisation_|laser_noise|stray_light", _VERDICT),
    (r"afterpulse|crosstalk|recovery_time", "changes hardly a rate: `null_test` finds it"),
    (r"(dropped_events|sync_loss|lock_loss) \| (switching|locking)", "over, or mended, before the "
     "first block"),
    (r"bias stick", "see the exemption"),
)  # fmt: skip
"""By case, as a regular expression: why nothing of it was noticed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What came of a case.

    Attributes
    ----------
    case : str
    code : int
        Exit code of ``labkit run``.
    outcome : str
    left_out, bad, unsafe, shouted : list of str
        Reasons of blocks that do not count; blocks that count although the world was not right;
        what is really unsafe, and who was named.
    reason : str
        Why the run ended, if it did not reach its goal.
    """

    case: str
    code: int
    outcome: str
    left_out: list[str]
    bad: list[str]
    unsafe: list[str]
    shouted: list[str]
    reason: str = ""

    @property
    def is_silent(self) -> bool:
        """Whether something unsafe was not told by name and exit code."""
        knowable = set(self.unsafe) - set(self.exemption)
        return bool(knowable - set(self.shouted)) or bool(knowable and self.code != 3)

    @property
    def exemption(self) -> dict[str, str]:
        """What is unsafe and cannot be known to be, and why."""
        found: dict[str, str] = {}
        for fault in self.case.split(" | ")[0].split(" + "):
            for known, (instruments, why) in EXEMPT.items():
                if fault in (known, known.replace(" stick", " stuck current")):
                    found |= dict.fromkeys(instruments & set(self.unsafe), why)
        return found


def read_found(path: Path) -> dict[str, Found]:
    """Return what came of the cases in a file, by their names."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    return {one.case: one for one in (Found(**json.loads(line)) for line in lines)}


_PLACES = re.compile(r" at TCPIP0\S+|\S+station\.yaml: ")
"""What differs from one computer to the next."""


def table(found: list[Found], number: int) -> str:
    """Return the page on so many cases: sums by phase, then every one that was tried."""
    outcomes = sorted({one.outcome for one in found})
    by_phase: dict[str, Counter[str]] = {}
    for one in found:
        by_phase.setdefault(one.case.split(" | ")[1], Counter())[one.outcome] += 1
    silent = [one.case for one in found if one.is_silent]
    bad = sum(len(one.bad) for one in found)
    lines = [
        "# Faults and what comes of them", "",
        "Every fault of the virtual lab, alone and in pairs, in every phase of a short witness "
        "run. Made by `python -m benchmarks faults`.", "",
        f"{len(found)} of {number} cases; blocks that count although the world was not "
        f"right: {bad}; unsafe endings without exit code 3 and a name: {len(silent)}.", "",
        "A block that counts is not right if the lock was open, the cryostat warm, a laser hopped, "
        "a detector latched, events or syncs were missing, or a click rate differs by more than "
        f"{100 * CHANGE:.0f} % and five standard deviations from an untroubled run's. *Went on*: "
        "nothing was noticed. What changes no rate, as a coupler, polarisation or crosstalk, the "
        "conditions of the verdict must find (see [procedures](procedures.md)).", "",
        "*Stuck* is a setting that the instrument confirms and ignores from the start, at a wrong "
        "value where one is given (see [what is read back](safety.md)).", "",
        *_exempt(found),
        f"| phase | {' | '.join(outcomes)} | sum |", "|---|" + "--:|" * (len(outcomes) + 1),
    ]  # fmt: skip
    for phase, sums in by_phase.items():
        row = " | ".join(str(sums[outcome] or "") for outcome in outcomes)
        lines.append(f"| {phase} | {row} | {sums.total()} |")
    lines += [*_explained(found), "", "| fault | phase | outcome | exit | because | counts, but |",
              "|---|---|---|--:|---|---|"]  # fmt: skip
    for one in found:
        fault, phase = one.case.split(" | ")
        said = one.left_out or [one.reason]
        reasons = [_PLACES.sub("", text.split(";")[0])[:90] for text in said]
        why = "; ".join(dict.fromkeys(reasons)).replace("|", "/")
        named = f" ({', '.join(one.shouted)})" if one.shouted else ""
        if one.exemption:
            named += f"; {', '.join(one.exemption)} unsafe, **exempt**"
        lines.append(
            f"| {fault} | {phase} | {one.outcome}{named} | {one.code} | {why} | "
            f"{'; '.join(one.bad).replace('|', '/')[:90]} |"
        )
    return "\n".join(lines) + "\n"


def _exempt(found: list[Found]) -> list[str]:
    """Return what the page says of what is unsafe and cannot be known to be."""
    mine = [one for one in found if one.exemption]
    if not mine:
        return []
    why = dict.fromkeys(text for one in mine for text in one.exemption.values())
    return [
        f"**Exempt** are {len(mine)} of these endings, each marked: what is left unsafe in them "
        f"cannot be known to be. {'; '.join(why)}. Look at the front panel, or name a dead-man.",
        "",
    ]


def _explained(found: list[Found]) -> list[str]:
    """Return why nothing was noticed in the cases that went on, and which are not explained."""
    cases: dict[str, int] = {}
    for one in found:
        if one.outcome == "went on":
            whys = (why for pattern, why in EXPLAINED if re.match(pattern, one.case))
            why = next(whys, f"**not explained**: {one.case.replace('|', '/')}")
            cases[why] = cases.get(why, 0) + 1
    rows = [f"| {why} | {number} |" for why, number in cases.items()]
    return ["", "| went on, because | cases |", "|---|--:|", *rows] if rows else []
