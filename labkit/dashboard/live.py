"""The live page, served by Panel; it asks the run folder anew every few seconds."""

import gc
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from html import escape
from logging import LogRecord, getLogger
from socket import getfqdn, gethostname
from time import time
from typing import Any
from urllib.parse import quote

from labkit.dashboard.page import BESIDE, MISSING, PAGE, beside, css, templates, variables
from labkit.dashboard.watch import LOCAL, SPANS, Watch

MOST_VISITORS = 20
"""So many pages are kept up at a time; a further one is told so."""

MOST_BESIDE = 4
"""So many runs are shown side by side; each is a page of its own."""

MOST_FURTHER = 6
"""So many others are offered beside them."""

NO_RUN = "none"


def serve(
    watch: Watch,
    *,
    address: str,
    port: int,
    browser: bool,
    every: float,
    token: str | None = None,
    tell: Callable[[str], object] = print,
) -> None:
    """Serve the live page until Ctrl-C.

    Parameters
    ----------
    watch : Watch
    address : str
        Network address to listen at; only ``localhost`` keeps the page to this computer.
    port : int
    browser : bool
        Whether to open one.
    every : float
        Seconds between looks at the run folder.
    token : str, optional
        What a visitor must send; needed unless the address is this computer's own.
    tell : callable
        Given the page's address once the page has answered there.

    Raises
    ------
    RuntimeError
        If Panel is not installed.
    ValueError
        If a token is needed.
    OSError
        If the port is taken.
    """
    server = server_of(watch, address=address, port=port, every=every, token=token)
    everywhere = address in ("0.0.0.0", "::")
    query = "" if token is None else f"?token={quote(token)}"
    here = f"http://{'127.0.0.1' if everywhere else address}:{port}/{query}"
    there = f"http://{getfqdn()}:{port}/{query}" if everywhere else here
    for name in _ABOUT_VISITORS:
        getLogger(name).addFilter(_is_no_visitor_leaving)
    server.start()
    server.io_loop.add_callback(_announce, here, there, tell, browser)
    try:
        server.run_until_shutdown()
    except KeyboardInterrupt:
        server.stop()


def server_of(watch: Watch, *, address: str, port: int, every: float, token: str | None) -> Any:
    """Return a server that has not been started; raises as `serve` does."""
    try:
        import panel
    except ImportError:
        message = f"{MISSING}; --html FILE needs Bokeh only, --json neither"
        raise RuntimeError(message) from None
    if token is None and address not in LOCAL:
        message = f"{address}: an address that others can reach needs a token"
        raise ValueError(message)
    _load(watch)
    options = {}
    if token is not None:
        from labkit.dashboard.token import TokenNeeded

        options["auth_provider"] = TokenNeeded(token)
    try:
        return panel.io.server.get_server(
            lambda: view(watch, every), port=port, address=address, start=False, show=False,
            websocket_origin=origins(address, port), title="labkit", **options,
        )  # fmt: skip
    except OSError as error:
        message = f"{address}:{port} must be free to listen at, but: {error}; choose a --port"
        raise OSError(message) from None


def _load(watch: Watch) -> None:
    """Load what every page needs, so that the first visitor does not wait for it."""
    Visitor(watch)
    with suppress(OSError, ValueError):  # told on the page
        watch.page(watch.newest())


_ABOUT_VISITORS = ("bokeh.server.views.ws", "asyncio")


def _is_no_visitor_leaving(record: LogRecord) -> bool:
    """Keep from the log what is no trouble: that a visitor has closed the page."""
    ended = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
    return "connection was closed" not in record.getMessage() and ended != "WebSocketClosedError"


async def _announce(here: str, there: str, tell: Callable[[str], object], browser: bool) -> None:
    """Say the address when the page has answered there."""
    from tornado.httpclient import AsyncHTTPClient

    await AsyncHTTPClient().fetch(here, request_timeout=120.0)
    tell(there)
    if browser:
        import webbrowser

        webbrowser.open(here)


def origins(address: str, port: int) -> list[str]:
    """Return the host names under which browsers may ask for the page."""
    names = ["localhost", "127.0.0.1", address]
    if address not in LOCAL:
        names += [gethostname(), getfqdn()]
    return [f"{name}:{port}" for name in dict.fromkeys(names)]


def view(watch: Watch, every: float) -> Any:
    """Return one visitor's page.

    Parameters
    ----------
    watch : Watch
    every : float
        Seconds between refreshments.
    """
    import panel

    document = panel.state.curdoc
    context = None if document is None else document.session_context
    if context is not None and context.server_context is not None:
        present = len(context.server_context.sessions)
        if present >= MOST_VISITORS:  # this one is not among them yet
            return panel.pane.HTML(
                f"<p>{MOST_VISITORS} pages are open already: close one first</p>"
            )
    if names := asked_beside(watch, panel.state.session_args):
        return side_by_side(watch, names)
    visitor = Visitor(watch)
    visitor.refresh()
    if context is not None and document is not None:
        document.add_periodic_callback(visitor.refresh, round(1000 * every))
        document.on_session_destroyed(_look_through_all)
    return visitor.template


def _look_through_all(_: object) -> None:
    """Let what a visitor leaves be found, also where the blocks of a long run were set aside."""
    gc.unfreeze()


def asked_beside(watch: Watch, asked: Mapping[str, Sequence[bytes]] | None) -> list[str]:
    """Return the runs that an address wants side by side, in its order; unknown ones are left."""
    wanted = [value.decode(errors="replace") for value in (asked or {}).get("beside", [])]
    there = watch.names()
    return [name for name in dict.fromkeys(wanted) if name in there][:MOST_BESIDE]


def side_by_side(watch: Watch, names: Sequence[str]) -> Any:
    """Return a page with the whole page of each of some runs, and ways to add another one."""
    template = _template(BESIDE)
    further = [name for name in watch.names() if name not in names][:MOST_FURTHER]
    more = [(name, beside(*names, name)) for name in further if len(names) < MOST_BESIDE]
    template.add_variable("css", css())
    template.add_variable("shown", [(name, f"?run={quote(name)}") for name in names])
    template.add_variable("more", more)
    return template


class Visitor:
    """One visitor's page: selectors, figures and words, kept up to date.

    Parameters
    ----------
    watch : Watch
    """

    def __init__(self, watch: Watch) -> None:
        import panel

        from labkit.dashboard.charts import Charts

        self._watch, self._charts, self._panel = watch, Charts(), panel
        self._shown = ""
        style = [css()]
        self.run = panel.widgets.Select(label="run", width=300, stylesheets=_WIDGET)
        self.compare = panel.widgets.Select(
            label="compare with", width=300, options=[NO_RUN], stylesheets=_WIDGET
        )
        self.span = panel.widgets.Select(
            label="time axes", width=110, options=SPANS, stylesheets=_WIDGET
        )
        self.head, self.tables = (
            panel.pane.HTML("", sizing_mode="stretch_width", stylesheets=style, margin=0)
            for _ in range(2)
        )
        self.alarms = _alarm_model()
        self.template = _template(PAGE)
        self._figures = {
            name: panel.pane.Bokeh(figure, sizing_mode="stretch_width", margin=0)
            for name, figure in self._charts.figures.items()
        }
        roots = {"run": self.run, "compare": self.compare, "span": self.span, "head": self.head,
                 "tables": self.tables, "alarms": panel.pane.Bokeh(self.alarms)}  # fmt: skip
        for name, part in (roots | self._figures).items():
            self.template.add_panel(name, part)
        for name, value in variables(self._figures).items():
            self.template.add_variable(name, value)
        self._choose(panel.state.session_args)
        for choice in (self.run, self.compare, self.span):
            choice.param.watch(self.refresh, "value")

    def _choose(self, asked: Any) -> None:
        """Show the run that the address names, or the newest one."""
        names = self._watch.names()
        self.run.options = names
        wanted = [value.decode(errors="replace") for value in (asked or {}).get("run", [])]
        found = next((name for name in wanted if name in names), names[0] if names else None)
        self._follow = found == (names[0] if names else None)
        self.run.value = found

    def refresh(self, *_: object) -> None:
        """Look at the run folder, and bring the page up to date."""
        names = self._watch.names()
        if names != self.run.options:
            newest = self.run.value is None or self.run.value == (self.run.options or [None])[0]
            self.run.options = names
            if names and newest:
                self.run.value = names[0]
        others = [NO_RUN, *(name for name in names if name != self.run.value)]
        if others != self.compare.options:
            self.compare.options = others
        if not names:
            self.head.object = (
                f"<p class='labkit'>no run yet in {escape(str(self._watch.path))}</p>"
            )
            return
        try:
            self._show(self.run.value)
        except (OSError, ValueError) as error:  # told on the page, which goes on asking
            self.head.object = (
                f"<div class='labkit'><p class='warning'>{escape(str(error))}</p></div>"
            )
            self.tables.object = ""

    def _show(self, name: str) -> None:
        watch, page = self._watch, self._watch.page(name)
        snapshot = watch.look(name)
        other, comparison = None, None
        if self.compare.value not in (None, NO_RUN):
            other = watch.look(self.compare.value)
            comparison = watch.comparison([name, self.compare.value])
        if name != self._shown:
            self._renew(name)
        self._charts.update(snapshot, other, self.span.value)
        head = page.head(snapshot, time())
        tables = page.tables(snapshot, watch.rows(), comparison)
        for pane, text in ((self.head, head), (self.tables, tables)):
            if pane.object != text:
                pane.object = text
        self.alarms.text = alarm_text(snapshot)

    def _renew(self, name: str) -> None:
        """Begin figures anew for another run: curves of the former have no place on them."""
        from labkit.dashboard.charts import Charts

        if self._shown:
            self._charts = Charts()
            for key, figure in self._charts.figures.items():
                self._figures[key].object = figure
        self._shown = name


def _template(name: str) -> Any:
    """Return a page's template; its document looks for its models once, not at every root."""
    from panel import Template, state

    class AtOnce(Template):  # type: ignore[misc]  # Panel is not typed
        def server_doc(
            self, doc: Any = None, title: str | None = None, location: Any = True
        ) -> Any:
            document = state.curdoc if doc is None else doc
            with document.models.freeze():
                return super().server_doc(document, title, location)

    return AtOnce(templates().get_template(name))


_WIDGET = [
    "label { color: var(--soft) }"
    "select.bk-input { color: var(--text); background: var(--card); border-color: var(--line);"
    " appearance: auto }"
]


def _alarm_model() -> Any:
    from bokeh.models import Div

    return Div(text="0 ", name="alarm text", visible=False)


def alarm_text(snapshot: Any) -> str:
    """Return how many alarms there have been, and the last one; an end that is bad is one too."""
    bad = snapshot.status.state in ("died", "failed", "silent")
    alarms = [event.text for event in snapshot.events if event.kind == "alarm"]
    last = alarms[-1] if alarms else ""
    if bad:
        last = f"{snapshot.name}: {snapshot.status.state}: {snapshot.status.reason}"
    return f"{snapshot.alarms + bad} {last[:200]}"
