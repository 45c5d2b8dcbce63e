"""The live page in a browser: every panel holds data, equals the journal, and follows the run."""

import json
import subprocess
import sys
from socket import socket

import pytest

from labkit.monitoring import RunMonitor
from labkit.run.events import EventLog
from labkit.run.progress import Step, Watcher

pytestmark = pytest.mark.browser

TOKEN = "a-token-that-nobody-guesses"
SERVE = "import sys; from labkit.cli import main; main()"
PANELS = (
    "result", "evidence", "g2", "arrivals", "rates1", "rates2", "phase_noise", "lock_output",
    "temperature", "lasers",
)  # fmt: skip


def free_port():
    with socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


@pytest.fixture
def page(run, chromium):
    """The page of a run of three blocks, one left out, of a server that asks for a token."""
    for good in (True, False, True):
        run.add(good=good, reason="" if good else "the lock was lost")
    command = [
        sys.executable, "-c", SERVE, "dashboard", str(run.folder.path), "--no-browser", "--port",
        str(free_port()), "--token", TOKEN, "--every", "0.5",
    ]  # fmt: skip
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        url = server.stderr.readline().split()[0]
        chromium.open(url)
        chromium.until(column("result.R_m", "trials") + ".length")
        yield chromium, url
    finally:
        server.terminate()
        server.wait(timeout=30)
        server.stderr.close()


def column(source, name):
    """JavaScript of a column as a list."""
    return f"Array.from(Bokeh.documents[0].get_model_by_name({json.dumps(source)}).data[{name!r}])"


def seen(browser, figure):
    """Whether a figure is on the screen, and high."""
    return browser.ask(
        f"document.querySelector('#chart-{figure}').getBoundingClientRect().height > 150"
    )


WORDS = """(() => {
  const found = [], walk = (node) => { for (const part of node.querySelectorAll('*')) {
    if (part.matches('.labkit')) found.push(part.innerText)
    if (part.shadowRoot) walk(part.shadowRoot) } }
  walk(document)
  return found.join('\\n') })()"""


def test_every_panel_holds_data_that_equal_the_journal_and_grows_with_it(page, run):
    browser, _ = page
    assert [name for name in PANELS if not seen(browser, name)] == []
    browser.until("document.querySelector('#chart-scan').hidden")
    same_as(browser, RunMonitor(run.folder).snapshot())
    run.add(temperature=0.071)
    browser.until(column("temperature.mixing chamber", "block") + ".length == 3")
    same_as(browser, RunMonitor(run.folder).snapshot())


def same_as(browser, found):
    rates = found.series["rate.pump1"]
    good = rates.block[rates.good].tolist()
    for name, source, scale in (
        ("rate.pump1", "rates1.pump 1", 1.0), ("rate.read2", "rates2.read 2", 1.0),
        ("temperature", "temperature.mixing chamber", 1e3),
        ("phase_noise", "phase_noise.phase noise", 1e3),
        ("lock_output", "lock_output.lock output", 1.0), ("laser.pump", "lasers.pump laser", 1e-6),
    ):  # fmt: skip
        series = found.series[name]
        assert browser.ask(column(source, "block")) == good
        expected = (scale * series.value[series.good]).tolist()
        assert browser.ask(column(source, "value")) == pytest.approx(expected)
    left_out = browser.ask(column("rates1.pump 1 left out", "reason"))
    assert left_out == [block.reason for block in found.left_out]
    browser.until(column("result.R_m", "value") + f".at(-1) == {found.witness.sym.mode!r}")
    browser.until(column("evidence.log E", "value") + f".at(-1) == {found.evidence[-1].log_e!r}")
    clicks = browser.ask(column("arrivals.detector 2", "clicks"))
    assert clicks == found.evaluation.counts.histogram[1].tolist()
    words = browser.ask(WORDS)
    assert found.evaluation.verdict.sentence in words
    for state in found.states:
        assert state.word in words
    for condition in found.evaluation.verdict.conditions.values():
        assert condition.name.replace("_", " ") in words


def test_page_asks_for_its_token(page):
    browser, url = page
    assert browser.ask("document.cookie") == ""  # scripts do not see it
    browser.call("Network.clearBrowserCookies")
    browser.open(url.split("?")[0])
    assert "refused" in browser.until("document.body && document.body.innerText")


@pytest.mark.parametrize("dark", [False, True])
def test_page_fits_a_phone_and_the_night(page, dark):
    browser, url = page
    browser.open(url, 390, 800, dark=dark)
    browser.until(column("result.R_m", "trials") + ".length")
    assert browser.ask("document.documentElement.scrollWidth") <= 390
    ground = browser.ask("getComputedStyle(document.body).backgroundColor")
    red, green, blue = map(int, ground.removeprefix("rgb(").removesuffix(")").split(","))
    assert (max(red, green, blue) < 60) == dark
    axis = "Bokeh.documents[0].get_model_by_name('figure.result').left[0].axis_label_text_color"
    browser.until(f"{axis} == '{'#d6d3d1' if dark else '#44403c'}'")
    browser.ask("document.getElementById('theme').click()")
    browser.until(f"{axis} == '{'#44403c' if dark else '#d6d3d1'}'")
    browser.ask("localStorage.clear()")


def test_runs_side_by_side_are_whole_pages_that_fill_the_window(page, run):
    browser, url = page
    name = run.folder.path.name
    browser.open(f"{url.split('?')[0]}?beside={name}", 1400, 900)
    frame = "document.querySelector('.runs iframe')"
    inner = f"{frame}.contentWindow"
    browser.until(f"{frame} && {frame}.title == {json.dumps(name)}")
    assert browser.ask(f"{frame}.getBoundingClientRect().height") > 800
    held = "Bokeh.documents[0].get_model_by_name('result.R_m').data['trials'].length"
    browser.until(f"{inner}.Bokeh && {inner}.{held}")


LISTEN = """(() => {
  window.tones = []; window.told = []
  const make = AudioContext.prototype.createOscillator
  AudioContext.prototype.createOscillator = function() { tones.push(880); return make.call(this) }
  window.Notification = class { constructor(title, {body}) { told.push(body) }
                                static permission = "granted" } })()"""
"""Notes the tones that are made, and what the browser's notifications say."""


def test_alarms_and_steps_appear_without_being_asked_for(page, run):
    browser, _ = page
    browser.until("Bokeh.documents[0].get_model_by_name('alarm text').text == '0 '")
    browser.until("known !== null")
    browser.ask(LISTEN)
    browser.ask("bell.click()")
    assert browser.ask("bell.getAttribute('aria-pressed')") == "true"
    assert browser.ask("sound instanceof AudioContext")
    assert browser.ask("tones.length") == 1  # that one hears it works
    log = EventLog(Watcher(), run.folder.path)
    log.step((Step(procedure="phase_sweep", number=3, of=9, what="Δφ = 0.5 π"),))
    log.alarm("block 4 left out: the lock was lost")
    browser.until("document.documentElement.dataset.alarms == '1'")
    assert browser.ask("tones.length") == 4
    assert browser.ask("told") == ["block 4 left out: the lock was lost"]
    words = browser.ask(WORDS)
    assert "phase sweep 3 of 9 (Δφ = 0.5 π)" in words
    assert "block 4 left out: the lock was lost" in words
