"""The report page: what it claims, and what it admits."""

import json
import os
import re
import signal
from dataclasses import replace
from html import unescape
from importlib import import_module

import numpy as np
import pytest
from matplotlib.image import imread

from analysis.counts import Counts, Quality, exact_trials
from analysis.evaluation import evaluate
from analysis.gates import Gate, GateSet
from analysis.plots import arrival_histogram, coincidence_matrix
from labkit.companion import Companion
from labkit.dashboard.page import Page
from labkit.learned import BUDGET, Learned, learned_of
from labkit.monitoring import RunMonitor
from labkit.procedures.stray_light import StrayLightResult
from labkit.procedures.witness import WitnessResult
from labkit.report import headline, write_report
from labkit.report.run_report import ReportFigures, ungated_table, write_run_report
from labkit.run import RunFolder
from labkit.run.events import EventLog
from labkit.run.manifest import ended
from labkit.run.progress import Watcher
from simulation.inference.budget import noise_budget
from simulation.theory.dlcz import riedinger2018

GATES = GateSet(
    period=50e-6,
    detectors={1: 0, 2: 1},
    gates=(Gate(name="pump", start=0.0, stop=60e-9), Gate(name="read", start=123e-9, stop=183e-9)),
)


@pytest.fixture
def evaluated():
    """Evaluation of 1000 clicks per cell in 10 000 trials with given pump-read coincidences."""

    def make(clicks, same, crossed):
        pairs = np.zeros((4, 4), np.int64)
        pairs[:2, 2:] = [[same, crossed], [crossed, same]]
        counts = Counts(
            gates=GATES,
            trials=exact_trials(10_000, "test"),
            singles=np.full((2, 2), clicks),
            pairs=pairs + pairs.T,
            repeated=np.zeros((2, 2), np.int64),
            histogram=np.zeros((2, 3), np.int64),
            bin_edges=np.array([0.0, 60e-9, 123e-9, 183e-9]),
            gate_of_bin=np.array([0, -1, 1], np.int8),
            quality=Quality(),
        )
        return evaluate(counts)

    return make


def test_headline_is_the_verdict(evaluated):
    text = headline(evaluated(1000, 20, 900))
    assert text.startswith("conditions not met: not measured: pump_balance")
    assert "entangled" not in text
    assert "; R = 0." in text


def test_headline_claims_nothing_where_accidentals_exceed_coincidences(evaluated):
    text = headline(evaluated(1000, 0, 0))
    assert "entangled" not in text
    assert text.endswith("R = inf [0.000, inf]")


def test_page_begins_with_the_verdict_and_shows_no_confidence_of_its_own(evaluated, tmp_path):
    page = write_report(evaluated(1000, 20, 900), tmp_path).read_text(encoding="utf-8")
    assert page.index("VERDICT") < page.index("<h2>")
    assert "P(R_m" not in page


def test_report_says_why_there_is_no_witness(evaluated, tmp_path):
    page = write_report(evaluated(0, 0, 0), tmp_path).read_text(encoding="utf-8")
    assert "witness is undefined" in page
    assert "must be at least 1 for g² to be defined" in page


def test_report_of_a_run_tells_what_somebody_needs_who_has_only_this(run, tmp_path):
    run.add()
    run.add(good=False, reason="the lock was lost")
    run.add()
    log = EventLog(Watcher(), run.folder.path)
    log._log("setting", instrument="", parameter="voa_a_transmission", old=None, new=0.625)
    before = {path: path.read_bytes() for path in run.folder.path.iterdir() if path.is_file()}
    page = write_run_report(run.folder, tmp_path / "report.html").read_text(encoding="utf-8")
    found = RunMonitor(run.folder).snapshot().evaluation
    assert found.verdict.sentence in unescape(page)
    for name in found.verdict.conditions:
        assert name.replace("_", " ") in page
    for text in (
        "night &lt;2&gt;", "the lock was lost", "0.625", "SHA-256",
        "even background", run.folder.path.name,
    ):  # fmt: skip
        assert text in page
    assert page.count("<svg") == 1 + 3 + 4  # sequence; course, evidence, g²; four over time
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    for path, content in before.items():
        assert path.read_bytes() == content


def test_what_was_learned_of_a_run_stands_in_its_report_and_page(run, tmp_path):
    run.add()
    learned = Learned(
        budget=noise_budget(riedinger2018()), preset="riedinger2018(optimal)", deviance=12.0,
        p_value=0.4, remarks=("mostly the product of p_pump_A and eta_A is known",),
    )  # fmt: skip
    path = run.folder.path / BUDGET
    path.write_text(json.dumps(learned.to_dict()), encoding="utf-8")
    page = write_run_report(run.folder, tmp_path / "report.html").read_text(encoding="utf-8")
    snapshot = RunMonitor(run.folder).snapshot()
    assert snapshot.to_dict()["noise_budget"] == learned.to_dict()
    for place in (page, Page().tables(snapshot)):
        words = ("oise budget", "without leaked drive light", learned.budget.R_m.text(),
                 "the claim would take", "no witness")  # fmt: skip
        assert [each for each in words if each not in place] == []
    assert page.count("<svg") == 1 + 3 + 4 + 1
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match=r"noise_budget\.json.*labkit budget RUN"):
        learned_of(run.folder)


def test_clicks_outside_the_gates_are_background_and_the_rest(recorded):
    counts = recorded[1]
    (_, total, even, _, rest), _ = ungated_table(counts).rows
    total, even, rest = (int(text.replace(",", "")) for text in (total, even, rest))
    assert total == pytest.approx(even + rest, abs=1)
    middle = 0.5 * (counts.bin_edges[1:] + counts.bin_edges[:-1])
    inside = sum(((middle >= g.start) & (middle < g.stop)) for g in counts.gates.gates) > 0
    assert total == counts.histogram[0][~inside].sum()


@pytest.mark.parametrize("later", ["nothing", "one more phase", "one left out"])
def test_figures_drawn_while_the_run_went_on_are_those_of_its_end(run, later):
    swept = [run.add(procedure="phase_sweep", delta_phi=0.5 * n) for n in range(5)]
    figures = ReportFigures(run.folder)
    figures.draw_ahead()
    ahead = dict(figures._ahead)
    assert list(ahead) == ["sequence", "fringe"]
    run.add()
    if later == "one more phase":
        run.add(procedure="phase_sweep", delta_phi=3.0)
    elif later == "one left out":
        run.leave_out(swept[0], "the lock was lost")
    drawn = figures.draw()
    assert drawn == ReportFigures(run.folder).draw()
    assert (drawn["fringe"] == ahead["fringe"]) is (later == "nothing")


def test_a_pdf_without_a_browser_says_what_to_install(run, tmp_path, monkeypatch):
    run.add()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"Debian: chromium.*\.html"):
        write_run_report(run.folder, tmp_path / "report.pdf")


def test_figures_of_a_run_are_vectors_of_a_columns_width_without_title(run, tmp_path, labkit):
    for _ in range(3):
        run.add()
    for name in ("densities", "sequence"):
        assert labkit("plot", run.folder.path, name, "-o", tmp_path / f"{name}.svg")[0] == 0
        page = (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
        width = float(re.search(r'<svg[^>]* width="([\d.]+)pt"', page)[1])
        assert width / 72 * 25.4 == pytest.approx(86.0, abs=0.1)
    code, _, error = labkit("plot", run.folder.path, "nope")
    assert code == 1
    assert "densities, course" in error.replace("\n", " ")
    code, _, error = labkit("plot", run.folder.path, "fringe")
    assert code == 1
    assert "at least 3 phases" in error


def test_pictures_are_drawn_into_given_axes(recorded):
    from matplotlib.figure import Figure

    axes = Figure().subplots(2)
    assert arrival_histogram(recorded[1], axes[0]) is axes[0]
    assert coincidence_matrix(recorded[1], axes[1]) is axes[1]


def test_learning_in_a_process_of_its_own_says_why_it_cannot(tmp_path):
    with Companion(RunFolder(path=tmp_path / "nowhere"), "learn") as companion:
        companion.begin()
        with pytest.raises(ValueError, match=r"nowhere.*manifest\.json"):
            companion.wait()


def test_a_process_that_was_to_learn_is_replaced_if_it_has_ended(tmp_path):
    with Companion(RunFolder(path=tmp_path / "nowhere"), "learn") as companion:
        os.kill(companion.pid, signal.SIGKILL)
        os.waitid(os.P_PID, companion.pid, os.WEXITED | os.WNOWAIT)
        companion.begin()
        with pytest.raises(ValueError, match=r"nowhere.*manifest\.json"):
            companion.wait()


def test_a_process_that_was_to_learn_ends_with_the_one_that_started_it(tmp_path):
    with Companion(RunFolder(path=tmp_path / "nowhere"), "learn") as companion:
        companion._process.stdin.close()  # as the system does if that one is killed
        assert companion._process.wait(60.0) == 0


def test_pictures_are_drawn_beside_the_run_and_those_that_cannot_be_are_told(tmp_path):
    light = StrayLightResult(trials=10**6, pump=(4, 5), read=(30, 40), g2=(1.0, 0.9, 1.1))
    with Companion(RunFolder(path=tmp_path), "draw") as companion:
        companion.show("stray_light", light)
        companion.show("nothing", None)
        assert companion.drawn() == {"stray_light"}
        assert imread(tmp_path / "figures" / "stray_light.png").shape > (200, 300)
        companion.show("unpicklable", lambda: None)
        companion.show("of a notebook", OfNotebook())
        companion.show("not to be handed over", NotHandedOver())
        assert companion.drawn() == {"stray_light"}


def test_the_picture_of_a_witness_is_drawn_beside_the_run(evaluated, tmp_path):
    found = WitnessResult(evaluation=evaluated(1000, 150, 450), blocks=2, left_out=0, reason="")
    with Companion(RunFolder(path=tmp_path), "draw") as companion:
        companion.show("witness", found)
        assert companion.drawn() == {"witness"}


def test_the_picture_of_a_witness_has_the_bound_of_its_verdict(evaluated):
    found = evaluated(1000, 150, 450)
    found = replace(found, verdict=replace(found.verdict, bound=0.9203))
    axes = WitnessResult(evaluation=found, blocks=2, left_out=0, reason="").plot().axes[0]
    assert [line.get_xdata()[0] for line in axes.lines if line.get_ls() == "--"] == [0.9203]
    assert [text.get_text() for text in axes.texts] == ["separable above 0.92"]


class OfNotebook:
    """A result whose class another process does not find."""

    def __reduce__(self):
        return import_module, ("nobody_has_this_module",)


class NotHandedOver:
    def __reduce__(self):
        raise ValueError


def test_a_companion_that_hangs_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("labkit.companion.LONGEST_WAIT", 0.1)
    with Companion(RunFolder(path=tmp_path), "draw") as companion:
        os.kill(companion.pid, signal.SIGSTOP)
        companion.show("nothing", None)
        assert companion.drawn() == frozenset()


def test_a_companion_that_is_lost_has_drawn_what_it_has_drawn(tmp_path):
    with Companion(RunFolder(path=tmp_path), "draw") as companion:
        os.kill(companion.pid, signal.SIGKILL)
        companion.show("nothing", None)
        assert companion.drawn() == frozenset()
        with pytest.raises(
            RuntimeError, match="process that draws must end well, but ended with -9"
        ):
            companion.finish()


def test_a_companion_writes_the_report_that_this_process_would_write(run, tmp_path):
    for _ in range(3):
        run.add()
    run.folder.write_manifest(ended(run.folder.manifest(), "done", ""))
    here = write_run_report(run.folder, tmp_path / "here.html", remarks=["look"]).read_text()
    with Companion(run.folder, "draw") as companion:
        companion.prepare_report()
        companion.report(["look"], None)
        assert (run.folder.path / "report.html").read_text() == here
        run.folder.manifest_path.unlink()
        with pytest.raises(RuntimeError, match=r"manifest\.json"):
            companion.report([], None)
        assert companion.drawn() == frozenset()


def test_a_report_is_written_though_the_companion_is_lost(run):
    run.add()
    with Companion(run.folder, "draw") as companion:
        os.kill(companion.pid, signal.SIGKILL)
        companion.report([], None)
    assert "</html>" in (run.folder.path / "report.html").read_text()
