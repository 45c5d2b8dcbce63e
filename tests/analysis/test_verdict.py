"""Verdicts on count sets: the honest ones are certified, no dishonest one is."""

import json
import math
from typing import Any

import numpy as np
import pytest

from analysis.counts_file import PAIRS
from analysis.evidence import BlockCounts, Evidence, parse_evidence
from analysis.published import RIEDINGER_2018
from analysis.witness import conditions
from analysis.witness.anytime import anytime_test
from analysis.witness.cells import cells_of
from analysis.witness.verdict import Verdict, judge

CONDITIONS = {
    "splitting": 0.503,
    "splitting_error": 0.003,
    "pump_balance": 0.02,
    "read_balance": 0.1,
    "device_ratio": 1.5,
    "fringe_period_pi": 1.95,
    "fringe_period_error_pi": 0.1,
    "null_blindness_upper": 0.0,
    "null_crosstalk_upper": 0.0,
    "background": 0.3,
}
SETS = {
    "A1_mirror": {
        "trials": 5000000000,
        "pump": [499690, 824706],
        "read": [486606, 752651],
        "coincidences": {"r1p1": 378, "r1p2": 91, "r2p1": 85, "r2p2": 964},
    },
    "A2_blind_coherent": {
        "trials": 100000000000,
        "pump": [9993795, 16494118],
        "read": [9732124, 15053013],
        "coincidences": {"r1p1": 136, "r1p2": 1605, "r2p1": 1504, "r2p2": 348},
    },
    "A3_no_coincidences": {
        "trials": 111400,
        "pump": [11, 18],
        "read": [11, 17],
        "coincidences": {"r1p1": 0, "r2p1": 0, "r1p2": 0, "r2p2": 0},
    },
    "A4_crosstalk": {
        "trials": 3000000000,
        "pump": [299814, 494824],
        "read": [291964, 451590],
        "coincidences": {"r1p1": 29, "r1p2": 523, "r2p1": 333, "r2p2": 74},
        "pi": {
            "trials": 3000000000,
            "pump": [299814, 494824],
            "read": [291964, 451590],
            "coincidences": {"r1p1": 29, "r1p2": 523, "r2p1": 333, "r2p2": 74},
        },
        "laser_only": {
            "trials": 3000000000,
            "pump": [299814, 494824],
            "read": [291964, 451590],
            "coincidences": {"r1p1": 29, "r1p2": 523, "r2p1": 333, "r2p2": 74},
        },
    },
    "A5_rate_drift": {
        "trials": 30000000000,
        "pump": [2998139, 4948235],
        "read": [2919637, 4515904],
        "coincidences": {"r1p1": 396, "r1p2": 3689, "r2p1": 3456, "r2p2": 1013},
        "blocks": [
            {
                "trials": 15000000000,
                "pump": [2398511, 3958588],
                "read": [2335710, 3612723],
                "coincidences": {"r1p1": 373, "r1p2": 3472, "r2p1": 3253, "r2p2": 953},
            },
            {
                "trials": 15000000000,
                "pump": [599628, 989647],
                "read": [583927, 903181],
                "coincidences": {"r1p1": 23, "r1p2": 217, "r2p1": 203, "r2p2": 60},
            },
        ],
    },
    "T1_model_5e9": {
        "trials": 5000000000,
        "pump": [499690, 824706],
        "read": [486606, 752651],
        "coincidences": {"r1p1": 57, "r1p2": 632, "r2p1": 627, "r2p2": 147},
    },
    "T2_model_pi": {
        "trials": 2500000000,
        "pump": [249845, 412353],
        "read": [243303, 376325],
        "coincidences": {"r1p1": 28, "r1p2": 316, "r2p1": 313, "r2p2": 74},
        "pi": {
            "trials": 2500000000,
            "pump": [249845, 412353],
            "read": [243303, 376325],
            "coincidences": {"r1p1": 203, "r1p2": 48, "r2p1": 44, "r2p2": 489},
        },
    },
    "T3_drifting_honest": {
        "trials": 6000000000,
        "pump": [639603, 1055624],
        "read": [622856, 963392],
        "coincidences": {"r1p1": 85, "r1p2": 946, "r2p1": 938, "r2p2": 220},
        "blocks": [
            {
                "trials": 2000000000,
                "pump": [299814, 494824],
                "read": [291964, 451590],
                "coincidences": {"r1p1": 51, "r1p2": 569, "r2p1": 564, "r2p2": 132},
            },
            {
                "trials": 2000000000,
                "pump": [139913, 230918],
                "read": [136250, 210742],
                "coincidences": {"r1p1": 11, "r1p2": 124, "r2p1": 123, "r2p2": 29},
            },
            {
                "trials": 2000000000,
                "pump": [199876, 329882],
                "read": [194642, 301060],
                "coincidences": {"r1p1": 23, "r1p2": 253, "r2p1": 251, "r2p2": 59},
            },
        ],
    },
    "T4_paper_extended": {
        "trials": 1949000000,
        "pump": [196080, 322608],
        "read": [194023, 300373],
        "coincidences": {"r1p1": 16, "r2p1": 223, "r1p2": 242, "r2p2": 67},
        "trials_fixed_in_advance": True,
    },
}


def decided(name: str, **changes: Any) -> Verdict:
    return judge(parse_evidence({**SETS[name], "conditions": CONDITIONS, **changes}))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("A1_mirror", "conditions not met: crossed <= same"),
        (
            "A4_crosstalk",
            "conditions not met: no fringe (theta and theta+pi agree); laser-only g2 > 1",
        ),
        ("A3_no_coincidences", "not shown: herald 1 has no coincidence"),
    ],
)
def test_attacks_are_named(name: str, sentence: str) -> None:
    assert decided(name).sentence == sentence


@pytest.mark.parametrize("name", ["A2_blind_coherent", "A5_rate_drift"])
def test_attacks_that_meet_all_conditions_are_not_shown(name: str) -> None:
    verdict = decided(name)
    assert (verdict.decision, verdict.level, verdict.kind) == ("not shown", None, None)
    assert "entangled" not in str(verdict)


@pytest.mark.parametrize(
    ("name", "level", "kind"),
    [
        ("T1_model_5e9", 0.999, "always"),
        ("T2_model_pi", 0.999, "always"),
        ("T3_drifting_honest", 0.999, "always"),
        ("T4_paper_extended", 0.99, "fixed"),
    ],
)
def test_honest_sets_are_certified(name: str, level: float, kind: str) -> None:
    verdict = decided(name)
    assert (verdict.decision, verdict.level, verdict.kind) == ("entangled", level, kind)
    assert verdict.reasons == ()
    assert str(verdict).splitlines()[0].split(maxsplit=1)[1].startswith("entangled at")


@pytest.mark.parametrize("name", list(SETS))
def test_nothing_declared_means_nothing_entangled(name: str) -> None:
    verdict = judge(parse_evidence(SETS[name]))
    assert verdict.decision == "conditions not met"
    assert "not measured: pump_balance" in verdict.reasons[-1]
    assert "entangled" not in str(verdict)


@pytest.mark.parametrize(
    "absent",
    [
        "pump_balance",
        "splitting",
        "splitting_error",
        "background",
        "read_balance",
        "fringe_period_pi",
        "null_crosstalk_upper",
    ],
)
def test_each_condition_is_needed(absent: str) -> None:
    some = {name: value for name, value in CONDITIONS.items() if name != absent}
    verdict = decided("T1_model_5e9", conditions=some)
    assert verdict.decision == "conditions not met"
    assert verdict.reasons[0].startswith("not measured: ")


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"pump_balance": 0.021}, "pump fluxes not balanced"),
        ({"splitting": 0.52}, "combiner not 50:50"),
        ({"background": 0.41}, "too much background"),
        ({"fringe_period_pi": 1.7}, "fringe period is not 2 pi"),
        ({"fringe_period_error_pi": 3.0}, "fringe period is not 2 pi"),
        (
            {"null_blindness_upper": 1.0, "null_crosstalk_upper": 2.0},
            "laser-only run too weak: nothing is excluded",
        ),
    ],
)
def test_each_failed_condition_is_named(changed: dict[str, float], problem: str) -> None:
    verdict = decided("T1_model_5e9", conditions=CONDITIONS | changed)
    assert verdict.sentence == f"conditions not met: {problem}"


def test_theta_and_pi_need_no_splitting_but_a_fringe() -> None:
    some = {name: value for name, value in CONDITIONS.items() if "splitting" not in name}
    assert decided("T2_model_pi", conditions=some).level == 0.999
    assert decided("T2_model_pi").bound == pytest.approx(1 / 1.05)


def test_json_holds_what_was_promised_and_no_infinity() -> None:
    plain = decided("A3_no_coincidences").to_dict()
    json.dumps(plain, allow_nan=False)
    assert set(plain) == {
        "decision", "level", "kind", "reasons", "conditions", "R", "E", "log_E",
        "always_confidence", "upper_limit_95", "fixed_confidence", "T", "bound",
    }  # fmt: skip
    assert plain["R"] == {"value": None, "low": 0.0, "high": None}
    found = decided("T4_paper_extended").to_dict()["conditions"]
    assert set(found) == set(conditions.DEMANDS)
    assert found["background"] == {
        "value": 0.3, "demand": conditions.DEMANDS["background"], "met": True,
        "source": "declared",
    }  # fmt: skip
    assert found["null_shuffled"]["met"] is None


def test_text_has_ten_lines_and_marks_what_was_declared() -> None:
    text = str(decided("T1_model_5e9"))
    assert len(text.splitlines()) == 10
    assert "background 0.3" in text.splitlines()[6]
    assert text.splitlines()[6].endswith("not measured")


def test_published_counts_support_fixed_sample_and_always_valid_confidences() -> None:
    """VERDICT §5: E 3.76 and 18.6; README: 98.9 and 99.88 % fixed, 73 and 94.6 % always-valid."""
    for name, e, fixed, always, interval in (
        ("optimal", 3.76, 0.989, 0.734, (0.739, 0.665, 0.834)),
        ("extended", 18.6, 0.9988, 0.946, (0.743, 0.684, 0.812)),
    ):
        blocks = (BlockCounts(theta=RIEDINGER_2018[name].counts),)
        verdict = judge(Evidence(blocks=blocks))
        assert math.exp(verdict.log_E) == pytest.approx(e, rel=2e-3)
        found = (verdict.R.value, verdict.R.low, verdict.R.high)
        assert found == pytest.approx(interval, abs=5e-4)
        assert verdict.fixed_confidence == pytest.approx(fixed, abs=5e-4)
        assert verdict.always_confidence == pytest.approx(always, abs=5e-4)
        assert verdict.decision == "conditions not met"


def test_fixed_sample_needs_a_declaration_and_twenty_coincidences() -> None:
    assert decided("T4_paper_extended", trials_fixed_in_advance=False).decision == "not shown"
    few = {"r1p1": 1, "r2p1": 18, "r1p2": 200, "r2p2": 40}
    assert decided("T4_paper_extended", coincidences=few).T is None


LASER_ONLY: dict[str, Any] = {
    "trials": 10**9, "pump": [10**6] * 2, "read": [10**5] * 2,
    "coincidences": dict.fromkeys(PAIRS, 100),
}  # fmt: skip
BRIGHT: dict[str, Any] = {
    "trials": 10**6, "pump": [150_000] * 2, "read": [150_000] * 2,
    "coincidences": dict.fromkeys(PAIRS, 22_500),
}  # fmt: skip
"""Coherent light: the read gate as dim as in the run, and bright."""


def test_laser_only_runs_of_this_run_lower_the_bound() -> None:
    some = {name: value for name, value in CONDITIONS.items() if "null" not in name}
    known: dict[str, Any] = {"conditions": some, "laser_only": LASER_ONLY}
    both = decided("T1_model_5e9", **known, laser_only_bright=BRIGHT)
    assert both.decision == "entangled"
    assert 0.85 < both.bound < 0.993747
    unlit = {"pump": [0, 0], "read": [0, 0], "coincidences": dict.fromkeys(PAIRS, 0)}
    weak = decided("T1_model_5e9", **known | {"laser_only": LASER_ONLY | unlit})
    assert weak.sentence == "not shown: laser-only run expects fewer than 10 accidentals"


@pytest.mark.parametrize("name", ["T1_model_5e9", "T2_model_pi"])
def test_at_theta_alone_a_dim_laser_only_run_does_not_exclude_blind_detectors(name: str) -> None:
    """θ and θ + π in turn show by themselves that it does not matter."""
    some = {name: value for name, value in CONDITIONS.items() if "null" not in name}
    found = decided(name, conditions=some, laser_only=LASER_ONLY)
    if name == "T2_model_pi":
        assert found.decision == "entangled"
    else:
        assert found.sentence == (
            "not shown: no laser-only run with a bright read gate: afterpulses may hide blind "
            "detectors"
        )


def test_low_cells_below_one_contradict_detectors_that_are_declared_not_to_be_blind() -> None:
    """Separable light of g² (3, 9.9) at detectors that miss everything after a click."""
    dead = {"r1p1": 0, "r1p2": 632, "r2p1": 627, "r2p2": 0}
    found = decided("T1_model_5e9", coincidences=dead)
    assert (
        found.sentence == "not shown: g² of low cells is below 1, as only blind detectors make it"
    )
    assert decided("T1_model_5e9").decision == "entangled"


def test_bright_laser_light_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="`laser_only_bright` must come with `laser_only`"):
        decided("T1_model_5e9", laser_only_bright=BRIGHT)


def test_sums_that_weigh_blocks_differently_withhold_the_fixed_sample() -> None:
    """Each block separable, low cells weigh one and high cells the other: the sum seems entangled.

    Block a: g² = 1 everywhere, b: s = 4, c = c*(4); detector 1 bright in a, detector 2 in b.
    """
    a = {"trials": 10**9, "pump": [800_000, 40_000], "read": [800_000, 40_000],
         "coincidences": {"r1p1": 640, "r2p1": 187, "r1p2": 187, "r2p2": 2}}  # fmt: skip
    b = {"trials": 10**9, "pump": [200_000, 800_000], "read": [200_000, 800_000],
         "coincidences": {"r1p1": 160, "r2p1": 1865, "r1p2": 1865, "r2p2": 2560}}  # fmt: skip
    total: dict[str, Any] = {"trials": 2 * 10**9}
    for gate in ("pump", "read"):
        total[gate] = [a[gate][i] + b[gate][i] for i in (0, 1)]
    total["coincidences"] = {
        pair: n + b["coincidences"][pair] for pair, n in a["coincidences"].items()
    }
    entry = total | {"blocks": [a, b], "conditions": CONDITIONS, "trials_fixed_in_advance": True}
    verdict = judge(parse_evidence(entry))
    assert verdict.fixed_confidence is not None
    assert verdict.fixed_confidence > 0.999
    assert verdict.always_confidence < 0.95
    assert verdict.decision == "not shown"
    assert "weigh the blocks differently" in verdict.reasons[-1]


def test_a_run_with_times_needs_short_blocks_and_shifted_trials() -> None:
    evidence = parse_evidence({**SETS["T1_model_5e9"], "conditions": CONDITIONS})
    verdict = judge(evidence, timed=True)
    assert verdict.sentence == (
        "conditions not met: blocks too long: drifts inside them cannot be seen; "
        "not measured: null_shuffled"
    )
    extra = conditions.Condition(
        name="data", value=None, demand="each file once", met=False, source="this run",
        problem="a file is counted twice",
    )  # fmt: skip
    assert judge(evidence, measured=[extra]).sentence.endswith("a file is counted twice")


def test_a_test_kept_during_the_run_gives_the_same_verdict() -> None:
    evidence = parse_evidence({**SETS["T3_drifting_honest"], "conditions": CONDITIONS})
    test = anytime_test(0.993747)
    for block in evidence.blocks:
        test = test.add(cells_of(block.theta))
    kept, computed = judge(evidence, test=test), judge(evidence)
    assert kept.level == computed.level
    assert kept.log_E == pytest.approx(computed.log_E, abs=2e-3)
    with pytest.raises(ValueError, match="must have seen the 3 blocks"):
        judge(evidence, test=anytime_test())


def test_the_bound_only_lowers_the_evidence() -> None:
    evidence = parse_evidence({**SETS["T1_model_5e9"], "conditions": CONDITIONS})
    logs = [judge(evidence, bound=bound).log_E for bound in (1.0, 0.95, 0.9, 0.8)]
    assert logs == sorted(logs, reverse=True)
    with pytest.raises(ValueError, match=r"must lie between 0\.05 and 1"):
        judge(evidence, bound=1.2)


@pytest.mark.parametrize("seed", range(3))
def test_separable_counts_with_everything_declared_are_rarely_entangled(seed: int) -> None:
    """60 sets on the boundary at 95 %: more than 10 claims have a probability below 1e-3."""
    rng = np.random.default_rng(seed)
    base = SETS["T1_model_5e9"]
    expected = {
        pair: base["read"][int(pair[1]) - 1] * base["pump"][int(pair[3]) - 1] / base["trials"]
        for pair in base["coincidences"]
    }
    g = {"r1p1": 1.2, "r2p2": 1.2, "r2p1": 6.298387, "r1p2": 6.298387}
    claims = 0
    for _ in range(60):
        pairs = {pair: int(rng.poisson(g[pair] * mean)) for pair, mean in expected.items()}
        claims += decided("T1_model_5e9", coincidences=pairs).decision == "entangled"
    assert claims <= 10
