"""Quoted numbers: enough of them, each with a verdict, a reason where not, and a command."""

import json
import re
import shlex

import pytest

from labkit.cli import run
from labkit.report.reproduction import NOT, REPRODUCED, WITHIN_ROUNDING, papers, reproduce, verdict

PAPERS = ("fan2026", "liu2024", "tan2020", "riedinger2018", "yu2020")


@pytest.fixture(scope="module")
def numbers():
    return reproduce()


def test_every_paper_and_at_least_a_hundred_and_twenty_numbers(numbers):
    assert len(numbers) >= 120
    assert papers()[:5] == PAPERS
    assert {number.paper for number in numbers} == set(papers())


def test_nothing_fails_without_a_reason_and_no_reason_is_left_over(numbers):
    for number in numbers:
        assert number.because or number.verdict != NOT, number
        assert not (number.because and number.verdict == REPRODUCED), number


def test_references_are_reproduced_to_the_last_digit_but_one(numbers):
    missed = [n for n in numbers if n.source == "reference" and n.verdict != REPRODUCED]
    assert [(n.paper, n.name) for n in missed] == [("transducer", "F_mom")]


def test_what_the_papers_print_and_we_do_not_find(numbers):
    """THEORY's list of numbers that do not follow from the papers' own equations."""
    missed = {(n.paper, n.where) for n in numbers if n.source == "paper" and n.verdict == NOT}
    assert missed >= {
        ("liu2024", "Fig. 2"),
        ("tan2020", "drive power"),
        ("tan2020", "magnons"),
        ("riedinger2018", "94 km"),
        ("yu2020", "Fig. 3"),
    }


def test_more_than_fifty_numbers_are_the_papers_own(numbers):
    printed = [number for number in numbers if number.paper in PAPERS and number.source == "paper"]
    assert len(printed) >= 54
    assert {number.paper for number in printed} == set(PAPERS)


@pytest.mark.parametrize(
    ("printed", "ours", "unit", "expected"),
    [
        ("0.74", 0.7449, None, REPRODUCED),
        ("0.74", 0.7451, None, WITHIN_ROUNDING),
        ("0.74", 0.7501, None, NOT),
        ("170", 171.0, 10, REPRODUCED),
        ("9.4e-5", 9.352e-5, None, REPRODUCED),
        ("-0.1", 0.1, None, NOT),
        ("0.1", float("nan"), None, NOT),
        ("< 1", 0.9999, None, REPRODUCED),
        ("< 1", 1.0, None, NOT),
        ("> 2", 2.1, None, REPRODUCED),
        ("> 2", float("nan"), None, NOT),
    ],
)
def test_a_verdict_goes_by_the_printed_digits(printed, ours, unit, expected):
    assert verdict(printed, ours, unit=unit) == expected


def test_zeros_at_the_end_of_printed_numbers_count(numbers):
    printed = {(n.where, n.name): n for n in numbers if n.paper == "riedinger2018"}
    plus = printed["R_m, optimal phases", "R_m 2 +"]
    assert (plus.printed, plus.verdict) == ("0.210", NOT)
    assert printed["R_m, optimal phases", "R_m sym +"].printed == "0.12"


def test_the_command_of_a_number_gives_it(numbers, capsys):
    """One number of each model, by the command printed beside it."""
    first = {n.command.split()[3]: n for n in numbers if n.command.startswith("labkit")}
    assert len(first) >= 9
    for number in first.values():
        if number.ours is None:
            continue
        name, _, component = number.name.partition(" ")
        assert run([*shlex.split(number.command)[1:], "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["results"][name]
        value = found[component] if component else found
        assert value == pytest.approx(number.ours, rel=1e-13)


@pytest.mark.parametrize("name", ["power at 1 Hz (mW)", "survives to (mK)", "N (10¹⁶)"])
def test_a_python_command_gives_its_number(numbers, name, capsys):
    number = next(n for n in numbers if n.name == name)
    exec(shlex.split(number.command)[2], {})
    assert float(capsys.readouterr().out) == pytest.approx(number.ours, rel=1e-12)


def test_table_json_and_page_hold_the_same_numbers(tmp_path, capsys):
    page = tmp_path / "report.html"
    assert run(["reproduce", "riedinger2018", "--json", "-o", str(page)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert sum(answer["summary"].values()) == len(answer["numbers"])
    assert page.read_text(encoding="utf-8").count("<td>riedinger2018</td>") == len(
        answer["numbers"]
    )
    assert run(["reproduce", "liu2024"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"log_nu +0\.11 +no steady state +not, because the printed model", printed)


def test_mistakes_are_named(capsys):
    assert run(["reproduce", "005"]) == 1
    assert "no numbers of paper '005' are quoted; there are fan2026" in capsys.readouterr().err
    assert run(["reproduce", "-o", "report.pdf"]) == 1
    assert "--output must end in .html" in capsys.readouterr().err


def test_a_paper_is_named_as_argument_or_option_by_name_or_number(capsys):
    shown = []
    for words in (["yu2020"], ["004"], ["--paper", "004"]):
        assert run(["reproduce", *words, "--json"]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] == shown[2]
    assert run(["reproduce", "yu2020", "--paper", "tan2020"]) == 1
    assert "name one paper" in capsys.readouterr().err
