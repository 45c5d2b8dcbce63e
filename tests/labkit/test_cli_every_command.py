"""What holds for every command: help at any width, readable words, refusals, plain terminals."""

import io
import os
import pty
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest
from typer.main import get_command

from labkit.cli import ROOMS, app_for
from labkit.cli import run as run_command

SCRIPT = "import sys; from labkit.cli import main; sys.argv[0] = 'labkit'; main()"


def walk(command, words=()):
    yield words, command
    for name, part in getattr(command, "commands", {}).items():
        yield from walk(part, (*words, name))


COMMANDS = dict(walk(get_command(app_for())))
LEAVES = {words: each for words, each in COMMANDS.items() if not hasattr(each, "commands")}
every_command = pytest.mark.parametrize("words", COMMANDS, ids=lambda words: "-".join(words))
every_leaf = pytest.mark.parametrize("words", LEAVES, ids=lambda words: "-".join(words))


def test_each_command_is_found_in_its_room_alone():
    named = [command for commands in ROOMS.values() for command in commands]
    assert sorted(named) == sorted(words[0] for words in COMMANDS if len(words) == 1)
    for commands in ROOMS.values():
        assert set(get_command(app_for([commands[0], "--json"])).commands) == set(commands)


def help_of(words):
    """Return the help page of a command, without building all of them anew."""
    context = None
    for number in range(len(words) + 1):
        command = COMMANDS[words[:number]]
        name = words[number - 1] if number else "labkit"
        options = {} if number else command.context_settings
        context = command.context_class(command, parent=context, info_name=name, **options)
    return command.get_help(context)


def said(*words):
    """Return exit code and all that a command says in this process."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        code = run_command(list(words))
    return code, out.getvalue()


def typed(words, **environment):
    """Run a command as the script does, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        env=os.environ | environment, capture_output=True, check=False,
    )  # fmt: skip


@every_command
@pytest.mark.parametrize("width", [60, 80, 200])
def test_help_fits_its_width_and_breaks_no_word(words, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    narrow = help_of(words)
    monkeypatch.setenv("COLUMNS", "100")
    wide = help_of(words)
    assert sorted(narrow.split()) == sorted(wide.split()), "the same words, unbroken"
    longest = max(map(len, narrow.split()))
    assert all(len(line) <= max(width, longest + 32) for line in narrow.splitlines())


@every_command
def test_help_shows_values_by_readable_words(words):
    text = help_of(words)
    assert not re.search(r"[{}<>]|list\[", text), text


@every_leaf
def test_options_have_one_meaning_everywhere(words):
    options = [each for each in LEAVES[words].params if each.param_type_name == "option"]
    text = help_of(words)
    for option in options:
        if "--out" in option.opts:
            assert "--out FOLDER" in text
        if "-o" in option.opts:
            assert "--output" in option.opts
            assert "-o, --output FILE" in text
        if "--set" in option.opts:
            assert "--set NAME=VALUE" in text
        if "--json" in option.opts:
            assert option.is_flag


@every_leaf
def test_an_option_that_does_not_exist_is_answered_with_those_that_do(words):
    command = LEAVES[words]
    context = command.context_class(command, info_name=words[-1])
    with pytest.raises(Exception, match="No such option '--frobnicate'") as refused:
        command.parse_args(context, ["--frobnicate"])
    known = [option.opts[0] for option in command.params if option.opts[0].startswith("-")]
    assert all(name in refused.value.message.partition("Options are ")[2] for name in known)


def test_a_refusal_of_usage_is_exit_code_2_and_names_the_help():
    code, text = said("coincidences", "--frobnicate")
    assert code == 2
    assert "Usage: labkit coincidences [OPTIONS] FILE…" in text
    assert "Try 'labkit coincidences -h' for help." in text


def test_help_as_typed_is_the_same_page(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert said("theory", "sweep", "-h") == (0, help_of(("theory", "sweep")) + "\n")


@pytest.mark.parametrize(
    "words",
    [
        ("witness", "nope.json"), ("info", "nope.ptu"), ("analyse", "nope.ptu"),
        ("convert", "nope.ptu", "x.csv"), ("gates", "nope.ptu"), ("runs", "show", "nope"),
        ("blocks", "nope.ptu", "--every", "1"), ("theory", "point", "nope.yaml"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_there_is_named_in_our_words(words):
    code, text = said(*words)
    assert code == 1
    assert "nope" in text
    assert "Errno" not in text
    assert "Traceback" not in text


@pytest.mark.skipif(sys.platform == "win32", reason="of shells")
@pytest.mark.parametrize("words", [["theory", "list"], ["theory", "point", "yu2020", "--json"]])
def test_a_closed_stdout_is_no_traceback(words):
    shell = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-c", SCRIPT, *words]
    done = subprocess.run(shell, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_any_encoding_holds_what_is_printed(encoding):
    done = typed(["theory", "show", "yu2020"], PYTHONIOENCODING=encoding, COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(encoding)
    assert "kappa_1_hz" in text
    assert "Traceback" not in text


def on_a_terminal(words, **environment):
    """Return what a command writes to a terminal."""
    own, its = pty.openpty()
    program = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *words], stdout=its, stderr=its,
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "80"} | environment,
    )  # fmt: skip
    os.close(its)
    written = b""
    try:
        while part := os.read(own, 65536):
            written += part
    except OSError:  # so Linux tells that the other end has closed
        pass
    os.close(own)
    assert program.wait() == 0
    return written.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_a_dumb_terminal_gets_plain_text_and_no_colour_means_none():
    command = ["theory", "show", "yu2020"]
    assert "\x1b" not in on_a_terminal(command, TERM="dumb")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", on_a_terminal(command, NO_COLOR="1"))


@pytest.mark.parametrize("width", [60, 80, 200])
def test_names_to_be_copied_are_whole_at_any_width(width, monkeypatch):
    from labkit.cli import theory
    from labkit.cli.output import results

    monkeypatch.setattr(results, "_width", width)
    out = io.StringIO()
    with redirect_stdout(out):
        theory.show("fan2026_cascade")
    text = out.getvalue()
    assert "…" not in text
    assert all(name in text for name in ("temperature_2", "omega_m_hz", "gamma_m"))
    assert max(map(len, text.splitlines())) <= width


def test_the_closing_verdict_is_the_same_sentence_by_every_way_to_it(tmp_path):
    recording, counts = str(tmp_path / "x.ptu"), str(tmp_path / "counts.json")
    assert (
        said("simulate", "riedinger2018", "--trials", "1e8", "--seed", "1", "-o", recording)[0] == 0
    )
    ends = []
    for words in (
        ["analyse", recording, "-o", counts],
        ["witness", counts],
        ["analyse", recording],
    ):
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(io.StringIO()):
            assert run_command(words) == 0
        ends.append(out.getvalue().partition("VERDICT")[2])
    assert ends[0].splitlines()[-1].startswith("next")
    assert ends[0] == ends[1] == ends[2]
