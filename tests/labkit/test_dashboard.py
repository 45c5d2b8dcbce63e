"""The dashboard's page: what it shows, that it stands alone, who may see it, and the command."""

import json
import re
import sys
from contextlib import contextmanager
from dataclasses import replace
from html import escape
from http.client import HTTPConnection
from threading import Thread
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.cli import run as command
from labkit.dashboard.live import (
    MOST_BESIDE,
    MOST_VISITORS,
    Visitor,
    alarm_text,
    origins,
    serve,
)
from labkit.dashboard.page import Page, beside
from labkit.dashboard.thinning import MANY, thinned
from labkit.dashboard.watch import Watch
from labkit.monitoring import RunMonitor
from labkit.report import headline
from labkit.run.events import EventLog
from labkit.run.progress import Step, Watcher

charts = pytest.importorskip("labkit.dashboard.charts")


@pytest.fixture
def watched(run):
    run.add()
    run.add(good=False, reason="<b>lock</b> & laser")
    run.add()
    return run


def words_of(run):
    found, page = RunMonitor(run.folder).snapshot(), Page()
    return page.head(found, 1e9) + page.tables(found)


def sources(figures):
    """All columns that are drawn, by name."""
    found = {}
    for figure in figures.values():
        for renderer in figure.renderers:
            source = getattr(renderer, "data_source", None)
            if source is not None and source.name:
                found[source.name] = source.data
    return found


def drawn(run, **options):
    made = charts.Charts()
    made.update(RunMonitor(run.folder).snapshot(), **options)
    return made


def test_page_tells_the_result_as_the_report_does(watched):
    found = RunMonitor(watched.folder).snapshot()
    words = words_of(watched)
    assert headline(found.evaluation).replace("<", "&lt;") in words
    assert "20 % of 600,000,000 trials" in words
    assert "night &lt;2&gt;" in words
    assert "2 of 3 blocks are good" in words


def test_every_condition_of_the_verdict_has_its_row(watched):
    verdict = RunMonitor(watched.folder).snapshot().evaluation.verdict
    rows = re.findall(r'<tr><td class="(\w+)">([^<]+)</td><td>([^<]+)</td>', words_of(watched))
    words = {True: "met", False: "NOT MET", None: "not known"}
    assert {name: word for _, word, name in rows} == {
        one.name.replace("_", " "): words[one.met] for one in verdict.conditions.values()
    }


def test_left_out_blocks_say_why_in_table_and_at_their_marks(watched):
    assert "<td>&lt;b&gt;lock&lt;/b&gt; &amp; laser</td>" in words_of(watched)
    marks = {n: d for n, d in sources(drawn(watched).figures).items() if n.endswith("left out")}
    assert len(marks) == 4 + 2 + 1 + 1  # rates, lock, temperature, laser
    for columns in marks.values():
        assert columns["block"].tolist() == [2]
        assert columns["reason"].tolist() == ["<b>lock</b> & laser"]


def test_document_stands_alone(watched):
    page = Watch(watched.folder.path).document(watched.folder.path.name)
    page = re.sub(r"(<script[^>]*>).*?</script>", r"\1</script>", page, flags=re.DOTALL)
    assert not re.search(r"<(link|iframe)|@import|url\(\s*['\"]?http", page)
    assert not re.findall(r"""<(?:script|img|a)[^>]+(?:src|href)=["'](?!data:|#|\?)""", page)
    assert "2 of 3 blocks are good" in page


def test_every_figure_holds_what_the_run_says(watched):
    found = RunMonitor(watched.folder).snapshot()
    figures = drawn(watched).figures
    seen = sources(figures)
    for name, series in found.series.items():
        label = series.label
        chart = {"rate.pump": "rates1", "rate.read": "rates2", "laser.pum": "lasers"}.get(
            name[:9], name
        )
        _, scale = charts.SHOWN_IN.get(series.unit, ("", 1.0))
        columns = seen[f"{chart}.{label}"]
        assert columns["block"].tolist() == [1, 3]
        assert columns["value"] == pytest.approx(scale * series.value[[0, 2]])
    witness = found.witness.sym
    assert seen["result.R_m"]["value"][-1] == witness.mode
    assert seen["result.R_m"]["low"][-1] == witness.low
    assert seen["evidence.log E"]["value"].tolist() == [p.log_e for p in found.evidence]
    counts = found.evaluation.counts
    assert seen["arrivals.detector 1"]["clicks"].tolist() == counts.histogram[0].tolist()
    assert [name for name, figure in figures.items() if not figure.visible] == ["scan"]


def test_figures_without_data_are_hidden(run):
    assert not any(figure.visible for figure in drawn(run).figures.values())
    assert "no good block yet" in words_of(run)


def test_limits_are_drawn_and_in_view(watched):
    made = drawn(watched)
    figure = made.figures["phase_noise"]
    (span,) = [one for one in figure.center if type(one).__name__ == "Span"]
    assert span.location == pytest.approx(300.0)  # mrad
    assert figure.y_range.start == 0.0
    assert figure.y_range.end > 300.0


def test_a_new_block_is_streamed_and_not_sent_again(watched, monkeypatch):
    made = drawn(watched)
    sent = []
    monkeypatch.setattr(
        charts.ColumnDataSource, "stream",
        lambda self, new, *_: sent.append((self.name, len(next(iter(new.values()))))),
    )  # fmt: skip
    watched.add()
    made.update(RunMonitor(watched.folder).snapshot())
    assert ("rates1.pump 1", 1) in sent
    assert ("temperature.mixing chamber", 1) in sent
    assert all(number == 1 for _, number in sent)


def test_another_run_is_drawn_beside(watched, make_run):
    other = make_run()
    for _ in range(4):
        other.add()
    found = RunMonitor(other.folder).snapshot()
    made = drawn(watched, other=found)
    seen = sources(made.figures)
    assert seen["result.other R_m"]["trials"].tolist() == [
        e.counts.trials.number / 1e6 for e in found.course
    ]
    made.update(RunMonitor(watched.folder).snapshot())
    assert len(sources(made.figures)["result.other R_m"]["trials"]) == 0


@given(st.integers(0, 60_000), st.integers(0, 2**32 - 1))
def test_a_thinned_series_keeps_its_ends_and_every_excursion(length, seed):
    values = np.random.default_rng(seed).normal(size=length)
    shown = thinned(values)
    assert len(shown) <= 2 * MANY
    assert sorted(set(shown.tolist())) == shown.tolist()
    if length <= MANY:
        assert shown.tolist() == list(range(length))
    else:
        assert {0, length - 1, values.argmin(), values.argmax()} <= set(shown.tolist())


def test_most_new_points_of_a_long_series_leave_the_others_as_they_are():
    values = np.random.default_rng(1).normal(size=30_200)
    kept = sum(
        set(thinned(values[:n]).tolist()) <= set(thinned(values[: n + 1]).tolist())
        for n in range(30_000, 30_200)
    )
    assert kept > 90  # in two of three a stretch of two points is not yet full


def test_page_of_a_failed_run_gives_the_reason(watched):
    watched.end("failed", "OSError: the disk is full")
    words = words_of(watched)
    assert '<span class="state failed">failed</span>' in words
    assert "OSError: the disk is full" in words
    found = RunMonitor(watched.folder).snapshot()
    assert alarm_text(found).startswith("1 ")


def test_steps_and_time_left_are_told(watched):
    log = EventLog(Watcher(), watched.folder.path)
    log.step((Step(procedure="phase_sweep", number=3, of=9, what="Δφ = 0.5 π"),))
    found = RunMonitor(watched.folder).snapshot(now=1e9 + 300)
    words = Page().head(found, 1e9 + 300)
    assert "phase sweep 3 of 9 (Δφ = 0.5 π)" in words
    assert "about 20 min left" in words  # 480 million trials of 120 million in 300 s


def test_the_live_page_of_a_long_run_comes_before_its_verdict(run, monkeypatch):
    for _ in range(4):
        run.add()
    monkeypatch.setattr("labkit.monitoring.judging.TURN", 0.0)
    monkeypatch.setattr("labkit.monitoring.judging.REST", 0.0)
    watch, name = Watch(run.folder.path), run.folder.path.name
    looks = [watch.look(name, patience=60.0) for _ in range(12)]
    remarks = [look.remark for look in looks]
    assert "shifted trials of the blocks are counted, 1 of 4 so far" in remarks[0]
    late = remarks.index("")
    assert "blocks are added to the always-valid test, 3 of 4 so far" in remarks[late - 1]
    assert looks[0].evaluation.verdict is None
    exact = watch.snapshot(name)
    assert looks[-1].evaluation.to_dict() == exact.evaluation.to_dict()


def test_visitors_share_a_look(watched, monkeypatch):
    taken = []
    take = RunMonitor.snapshot
    monkeypatch.setattr(RunMonitor, "snapshot", lambda *a, **k: taken.append(1) or take(*a, **k))
    watch, name = Watch(watched.folder.path, fresh=60.0), watched.folder.path.name
    for _ in range(MOST_VISITORS):
        watch.look(name)
    assert len(taken) == 1


def test_only_the_runs_looked_at_last_are_held(make_run, tmp_path):
    runs = [make_run(kind=f"kind{number:02d}") for number in range(11)]
    watch = Watch(tmp_path / "runs")
    for run in runs:
        run.folder.write_manifest(replace(run.folder.manifest(), experiment={}))
        watch.look(run.folder.path.name)
    assert list(watch._watched) == [run.folder.path.name for run in runs[3:]]


def test_pictures_of_the_procedures_are_shown(watched):
    from matplotlib.figure import Figure

    (watched.folder.path / "figures").mkdir()
    for name, size in (("phase_sweep", (1, 1)), ("filters", (4, 1))):
        Figure(figsize=size).savefig(watched.folder.path / "figures" / f"{name}.png")
    words = words_of(watched)
    assert words.count('src="data:image/png;base64,iVBOR') == 2
    assert '<div class="wide"><p class="small">filters</p>' in words
    assert '<div><p class="small">phase sweep</p>' in words


def test_newest_run_comes_first_and_new_ones_are_seen(make_run, tmp_path):
    older = make_run(kind="a")
    watch = Watch(tmp_path / "runs")
    assert watch.newest() == older.folder.path.name
    newer = make_run(kind="b")
    assert watch.names() == [newer.folder.path.name, older.folder.path.name]


def test_nothing_is_written_by_looking(watched, make_run):
    other = make_run()
    other.add()

    def content():
        return {p: p.stat().st_mtime_ns for p in watched.folder.path.parent.rglob("*")}

    before = content()
    watch, names = Watch(watched.folder.path.parent), [r.folder.path.name for r in (watched, other)]
    for name in names:
        watch.look(name)
    watch.rows()
    watch.comparison(names)
    assert content() == before


def test_command_gives_one_json_object_or_one_page(watched, tmp_path, capsys):
    assert command(["dashboard", str(watched.folder.path.parent), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run"] == watched.folder.path.name
    target = tmp_path / "page.html"
    assert command(["dashboard", str(watched.folder.path), "--html", str(target)]) == 0
    assert target.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")


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
    visitor = Visitor(Watch(watched.folder.path.parent))
    visitor.refresh()
    assert "20 % of" in visitor.head.object
    assert "Blocks left out" in visitor.tables.object
    empty = make_run(kind="witness")
    visitor.refresh()
    assert visitor.run.value == empty.folder.path.name
    assert "no good block yet" in visitor.head.object
    visitor.run.value = watched.folder.path.name
    visitor.compare.value = empty.folder.path.name
    assert f"Compared with {empty.folder.path.name}" in visitor.tables.object
    with watched.folder.journal.path.open("ab") as stream:
        stream.write(b"torn\n")
    watched.add()
    visitor.refresh()
    assert "checksum does not match" in visitor.head.object
    assert visitor.tables.object == ""


TOKEN = "a token that nobody guesses"


@contextmanager
def served(watch, token):
    """A server of the page in a thread of its own; gives its port."""
    from asyncio import new_event_loop, set_event_loop
    from queue import Queue

    from labkit.dashboard.live import server_of

    started = Queue()

    def work():
        set_event_loop(new_event_loop())
        server = server_of(watch, address="localhost", port=0, every=60.0, token=token)
        server.start()
        started.put(server)
        server.io_loop.start()

    thread = Thread(target=work, daemon=True)
    thread.start()
    server = started.get(timeout=60)
    try:
        yield server.port
    finally:
        server.io_loop.add_callback(server.stop)
        server.io_loop.add_callback(server.io_loop.stop)
        thread.join(30)


def asked(port, path, **headers):
    link = HTTPConnection("localhost", port, timeout=60)
    link.request("GET", path, headers=headers)
    answer = link.getresponse()
    text = answer.read().decode()
    link.close()
    return answer.status, answer.headers, text


def test_nobody_sees_the_page_without_its_token(run):
    with served(Watch(run.folder.path), TOKEN) as port:
        for path in (
            "/",
            "/?token=another%20one",
            "/autoload.js?bokeh-autoload-element=1",
            "/metadata",
            "/ws",
        ):
            status, headers, _ = asked(port, path)
            refused = status == 302 and "/refused" in headers["Location"]
            assert refused or status == 403, path
        assert asked(port, "/refused")[0] == 403
        status, headers, _ = asked(port, f"/?token={TOKEN.replace(' ', '%20')}")
        assert status == 200
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert asked(port, "/", Cookie=cookie.split(";")[0])[0] == 200
        assert asked(port, "/", Cookie="labkit-token=another")[0] == 302


def test_an_address_of_others_needs_a_token(run):
    from labkit.dashboard.token import token_for

    assert token_for("localhost", None) is None
    new = {token_for("0.0.0.0", None) for _ in range(2)}
    assert len(new) == 2
    assert min(map(len, new)) >= 32
    with pytest.raises(ValueError, match="at least 16 characters, but has 5"):
        token_for("0.0.0.0", "short")
    with pytest.raises(ValueError, match="needs a token"):
        serve(Watch(run.folder.path), address="0.0.0.0", port=1, browser=False, every=1.0)


def test_runs_stand_side_by_side_each_as_its_own_page(watched, make_run):
    others = [make_run(kind=f"<b>{n}") for n in range(5)]
    names = [run.folder.path.name for run in (watched, *others)]
    address = f"/{beside(names[0], 'no such run', *names[1:3])}"
    with served(Watch(watched.folder.path.parent), None) as port:
        status, _, text = asked(port, address)
        shown = re.findall(r'<iframe title="([^"]+)" src="[?]run=([^"]+)">', text)
        assert status == 200
        assert [unquote(name) for _, name in shown] == names[:3]
        assert "<b>" not in text
        for name in names[3:]:
            assert f'href="{escape(beside(*names[:3], name))}"' in text
        status, _, text = asked(port, f"/{beside(*names)}")
        assert text.count("<iframe") == MOST_BESIDE
        assert 'href="?beside' not in text


def test_a_run_is_offered_beside_each_other_one(watched, make_run):
    other = make_run()
    name, further = watched.folder.path.name, other.folder.path.name
    watch = Watch(watched.folder.path.parent)
    words = Page().tables(watch.look(name), watch.rows(), watch.comparison([name, further]))
    assert words.count(f'href="{escape(beside(name, further))}"') == 2  # in both tables


def test_no_more_pages_than_the_memory_bears_are_kept_up(watched, monkeypatch):
    monkeypatch.setattr("labkit.dashboard.live.MOST_VISITORS", 1)
    with served(Watch(watched.folder.path, fresh=60.0), None) as port:
        texts = [asked(port, "/")[2] for _ in range(2)]
    assert ['id="chart-result"' in text for text in texts] == [True, False]
