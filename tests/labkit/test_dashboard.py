"""The dashboard's page: what it shows, that it stands alone, and the command around it."""

import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.cli import run as command
from labkit.dashboard.figures import MANY, _stacked, _thinned, figures
from labkit.dashboard.live import origins, serve, view
from labkit.dashboard.watch import Watch
from labkit.monitoring import RunMonitor, Series
from labkit.report import headline


@pytest.fixture
def watched(run):
    run.add()
    run.add(good=False, reason="<b>lock</b> & laser")
    run.add()
    return run


def page_of(run):
    return Watch(run.folder.path).document(run.folder.path.name)


def test_page_tells_the_result_as_the_report_does(watched):
    found = RunMonitor(watched.folder).snapshot()
    page = page_of(watched)
    assert headline(found.evaluation).replace("<", "&lt;") in page
    assert "20 % of 600,000,000 trials" in page
    assert "night &lt;2&gt;" in page
    assert "2 of 3 blocks are good" in page


def test_left_out_blocks_say_why_in_table_and_at_their_marks(watched):
    page = page_of(watched)
    assert "<td>&lt;b&gt;lock&lt;/b&gt; &amp; laser</td>" in page
    marks = re.findall(r"<title>(block 2 left out: .*?)</title>", page)
    assert set(marks) == {"block 2 left out: &lt;b&gt;lock&lt;/b&gt; &amp; laser"}
    assert len(marks) == 4 + 2 + 1 + 1  # rates, lock, temperature, laser


def test_page_stands_alone(watched):
    page = page_of(watched)
    assert not re.search(r"<(script|link|iframe)|@import|url\(\s*['\"]?(?!#)", page)
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", page)


def test_every_kind_of_data_has_its_figure(watched):
    drawn = figures(RunMonitor(watched.folder).snapshot())
    assert list(drawn) == [
        "Result against trials", "Clicks in the gates", "Interferometer", "Temperature",
        "Laser frequencies since the first block",
    ]  # fmt: skip
    assert all(svg.startswith("<svg") for svg in drawn.values())


@pytest.mark.parametrize("span", [0, 100, 215, 4e3, 5e4, 3e5, 2e6, 2e7])
def test_time_axis_fits_seconds_to_months(span):
    zeros = (0.0, 0.0)
    series = Series(
        label="mixing chamber", unit="K", block=(1, 2), time=(1e9, 1e9 + span), value=zeros,
        sigma=zeros, good=(True, True),
    )  # fmt: skip
    ticks = _stacked([[series]]).axes[0].get_xticks()
    assert len(ticks) <= 8


@given(st.integers(0, 3000), st.integers(0, 2**32 - 1))
def test_a_thinned_series_keeps_its_ends_and_every_excursion(length, seed):
    values = np.random.default_rng(seed).normal(size=length)
    shown = _thinned(values)
    assert len(shown) <= MANY
    assert sorted(set(shown.tolist())) == shown.tolist()
    if length <= MANY:
        assert shown.tolist() == list(range(length))
    else:
        assert {0, length - 1, values.argmin(), values.argmax()} <= set(shown.tolist())


def test_page_of_a_run_without_blocks_says_so(run):
    page = page_of(run)
    assert "no good block yet" in page
    assert "<svg" not in page


def test_page_of_a_failed_run_gives_the_reason(watched):
    watched.end("failed", "OSError: the disk is full")
    page = page_of(watched)
    assert '<span class="state failed">failed</span>' in page
    assert "OSError: the disk is full" in page


def test_figures_are_drawn_again_only_for_new_blocks(watched, monkeypatch):
    watch, name = Watch(watched.folder.path), watched.folder.path.name
    _, first = watch.head_and_body(name)
    monkeypatch.setattr("labkit.dashboard.page.figures", lambda *_: {"drawn again": "<svg/>"})
    assert watch.head_and_body(name)[1] == first
    watched.add()
    assert "drawn again" in watch.head_and_body(name)[1]


def test_the_live_page_of_a_long_run_comes_before_its_verdict(run, monkeypatch):
    for _ in range(4):
        run.add()
    monkeypatch.setattr("labkit.dashboard.watch.PATIENCE", 0.0)
    watch, name = Watch(run.folder.path), run.folder.path.name
    heads, bodies = zip(*(watch.head_and_body(name) for _ in range(12)), strict=True)
    early = [head for head in heads if "no verdict yet: " in head]
    assert "shifted trials of the blocks are counted, 1 of 4 so far" in early[0]
    assert "blocks are added to the always-valid test, 3 of 4 so far" in early[-1]
    assert heads[: len(early)] == tuple(early)
    assert 0 < len(early) < len(heads)
    assert len(set(bodies)) == 1
    verdict = RunMonitor(run.folder).snapshot().evaluation
    assert headline(verdict).replace("<", "&lt;") in heads[-1]
    assert watch.snapshot(name).evaluation.to_dict() == verdict.to_dict()


def test_a_page_for_a_file_waits_for_its_verdict(run, monkeypatch):
    for _ in range(4):
        run.add()
    monkeypatch.setattr("labkit.dashboard.watch.PATIENCE", 0.0)
    assert "no verdict yet" not in page_of(run)


def test_time_axes_can_show_the_last_blocks_only(watched):
    found = RunMonitor(watched.folder).snapshot()
    recent = {name: series.since(1e9 + 200) for name, series in found.series.items()}
    assert recent["temperature"].block == (3,)
    assert figures(found, last=50.0) == figures(replace(found, series=recent))


def test_pictures_of_the_procedures_are_shown(watched):
    from matplotlib.figure import Figure

    (watched.folder.path / "figures").mkdir()
    for name, size in (("phase_sweep", (1, 1)), ("filters", (4, 1))):
        Figure(figsize=size).savefig(watched.folder.path / "figures" / f"{name}.png")
    page = page_of(watched)
    assert page.count('src="data:image/png;base64,iVBOR') == 2
    assert '<div class="wide"><p class="small">filters</p>' in page
    assert '<div><p class="small">phase sweep</p>' in page


def test_newest_run_comes_first_and_new_ones_are_seen(make_run, tmp_path):
    older = make_run(kind="a")
    watch = Watch(tmp_path / "runs")
    assert watch.newest() == older.folder.path.name
    newer = make_run(kind="b")
    assert watch.names() == [newer.folder.path.name, older.folder.path.name]


def test_command_gives_one_json_object_or_one_page(watched, tmp_path, capsys):
    assert command(["dashboard", str(watched.folder.path.parent), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"] == watched.folder.path.name
    target = tmp_path / "page.html"
    assert command(["dashboard", str(watched.folder.path), "--html", str(target)]) == 0
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("folder", "said"), [("nothing", "is no folder"), (".", "has no run folder")]
)
def test_command_says_what_is_no_run(tmp_path, capsys, folder, said):
    assert command(["dashboard", str(tmp_path / folder), "--json"]) == 1
    assert said in capsys.readouterr().err.replace("\n", " ")


def test_without_panel_the_command_says_what_to_install(watched, monkeypatch):
    monkeypatch.setitem(sys.modules, "panel", None)
    with pytest.raises(RuntimeError, match=r"pip install -e '\.\[dashboard\]'"):
        serve(Watch(watched.folder.path), address="localhost", port=1, browser=False, every=1.0)


def test_browsers_may_ask_under_the_names_of_this_computer_only():
    assert origins("localhost", 80) == ["localhost:80", "127.0.0.1:80"]
    assert "0.0.0.0:80" in origins("0.0.0.0", 80)
    assert not any("*" in name for name in origins("0.0.0.0", 80))


def test_live_page_shows_the_selected_run_and_what_is_wrong_with_it(watched, make_run):
    pytest.importorskip("panel")
    watch = Watch(watched.folder.path.parent)
    (select, last), head, body = view(watch, every=5.0)
    assert "20 % of" in head.object
    assert "Blocks left out" in body.object
    whole = body.object
    last.value = 86400.0
    assert body.object == whole  # two hundred seconds are not a day
    empty = make_run(kind="witness")
    select.param.trigger("value")
    assert select.value == empty.folder.path.name
    assert "no good block yet" in head.object
    with watched.folder.journal.path.open("ab") as stream:
        stream.write(b"torn\n")
    watched.add()
    select.value = watched.folder.path.name
    assert "checksum does not match" in head.object
    assert body.object == ""
