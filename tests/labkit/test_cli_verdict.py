"""The verdict on the command line: last word of `witness` and `analyse`, and in their JSON."""

import json

import pytest

from analysis.published import RIEDINGER_2018

CONDITIONS = {
    "splitting": 0.503,
    "splitting_error": 0.003,
    "pump_balance": 0.02,
    "read_balance": 0.1,
    "device_ratio": 1.5,
    "background": 0.3,
    "fringe_period_pi": 1.95,
    "fringe_period_error_pi": 0.1,
    "null_blindness_upper": 0.0,
    "null_crosstalk_upper": 0.0,
}


@pytest.fixture
def extended(tmp_path):
    """Write the published extended counts with further fields."""
    counts = RIEDINGER_2018["extended"].counts

    def write(**further):
        path = tmp_path / "extended.json"
        plain = {
            "trials": counts.trials,
            "pump": list(counts.pump),
            "read": list(counts.read),
            "coincidences": dict(counts.coincidences),
        }
        path.write_text(json.dumps(plain | further))
        return path

    return write


def test_the_paper_with_its_conditions_is_entangled_at_99_percent(labkit, extended):
    path = extended(conditions=CONDITIONS, trials_fixed_in_advance=True)
    _, out, _ = labkit("witness", path, "--json")
    verdict = json.loads(out)["verdict"]
    assert (verdict["decision"], verdict["level"], verdict["kind"]) == ("entangled", 0.99, "fixed")
    assert verdict["bound"] == pytest.approx(0.993747, abs=5e-7)
    assert verdict["conditions"]["splitting"]["source"] == "declared"
    _, out, _ = labkit("witness", path)
    verdict = out.splitlines()[-10:]
    assert verdict[0] == "VERDICT     entangled at 99 % (fixed sample)"
    assert "splitting 0.503" in verdict[6]


def test_counts_alone_never_say_entangled(labkit, extended):
    code, out, _ = labkit("witness", extended())
    assert code == 0
    assert "VERDICT     conditions not met: not measured: pump_balance, splitting" in out
    assert "entangled" not in out


def test_assumptions_do_what_the_file_does(labkit, extended):
    assumed = [f"--assume={name}={value}" for name, value in CONDITIONS.items()]
    _, out, _ = labkit("witness", extended(), *assumed, "--json")
    _, same, _ = labkit("witness", extended(conditions=CONDITIONS), "--json")
    assert json.loads(out)["verdict"] == json.loads(same)["verdict"]
    fixed = "--assume=trials_fixed_in_advance=true"
    _, out, _ = labkit("witness", extended(), *assumed, fixed, "--json")
    assert json.loads(out)["verdict"]["level"] == 0.99


def test_a_misspelt_assumption_is_refused(labkit, extended):
    code, out, err = labkit("witness", extended(), "--assume", "spliting=0.5", "--json")
    assert (code, out) == (1, "")
    assert "`spliting` is no condition; did you mean `splitting`?" in err


def test_no_table_shows_a_confidence_of_its_own(labkit, extended):
    _, out, _ = labkit("witness", extended(), "--bound", "0.995")
    assert "P(R_m" not in out
    assert "99.82 %" not in out.replace("published: R_m < 0.995 with 99.82 % confidence", "")
    assert "as published" in out


def test_analyse_ends_in_the_verdict(labkit, recorded):
    _, out, _ = labkit("analyse", recorded[0], "--json")
    verdict = json.loads(out)["verdict"]
    assert verdict["decision"] == "conditions not met"
    assert verdict["reasons"][-1].startswith("not measured: pump_balance")
    _, out, _ = labkit("analyse", recorded[0], "--assume", "background=0.9")
    assert out.splitlines()[-10].startswith("VERDICT     conditions not met: ")
    assert "too much background" in out


def test_a_file_counted_twice_has_no_verdict(labkit, recorded):
    assumed = [f"--assume={name}={value}" for name, value in CONDITIONS.items()]
    twice = (recorded[0], recorded[0])
    _, out, _ = labkit("analyse", *twice, *assumed, "--allow-repeats", "--json")
    assert "a file is counted twice" in json.loads(out)["verdict"]["reasons"]
