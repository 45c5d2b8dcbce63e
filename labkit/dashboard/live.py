"""The live page, served by Panel; it asks the run folder anew every few seconds."""

from html import escape
from math import inf
from socket import getfqdn, gethostname
from typing import Any

from labkit.dashboard.watch import Watch

SPANS = {"all": inf, "7 days": 7 * 86400.0, "24 hours": 86400.0}
"""Choices for the time axes, s."""


def serve(watch: Watch, *, address: str, port: int, browser: bool, every: float) -> None:
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

    Raises
    ------
    RuntimeError
        If Panel is not installed.
    OSError
        If the port is taken.
    """
    try:
        import panel
    except ImportError:
        message = (
            "the live page needs Panel: pip install -e '.[dashboard]'; "
            "--html FILE writes a page without it"
        )
        raise RuntimeError(message) from None
    try:
        panel.serve(
            lambda: view(watch, every), port=port, address=address,
            websocket_origin=origins(address, port), show=browser, title="labkit",
        )  # fmt: skip
    except OSError as error:
        message = f"{address}:{port} must be free to listen at, but: {error}; choose a --port"
        raise OSError(message) from None


def origins(address: str, port: int) -> list[str]:
    """Return the host names under which browsers may ask for the page."""
    names = ["localhost", "127.0.0.1", address]
    if address not in ("localhost", "127.0.0.1"):
        names += [gethostname(), getfqdn()]
    return [f"{name}:{port}" for name in dict.fromkeys(names)]


def view(watch: Watch, every: float) -> Any:
    """Return one visitor's page: selectors of run and time axis, and the run that is selected.

    Parameters
    ----------
    watch : Watch
    every : float
        Seconds between refreshments.
    """
    import panel

    select = panel.widgets.Select(width=420)
    last = panel.widgets.RadioButtonGroup(options=SPANS, width=240)
    head, body = (panel.pane.HTML("", sizing_mode="stretch_width") for _ in range(2))

    def refresh(*_: object) -> None:
        names = watch.names()
        if names != select.options:
            stay_newest = not select.options or select.value == select.options[0]
            select.options = names
            if names and stay_newest:
                select.value = names[0]
            select.visible = len(names) > 1
        if not names:
            head.object = f"<p>no run yet in {escape(str(watch.path))}</p>"
            return
        try:
            head.object, body.object = watch.head_and_body(select.value, last.value)
        except (OSError, ValueError) as error:  # told on the page, which goes on asking
            head.object, body.object = f"<p>{escape(str(error))}</p>", ""

    for choice in (select, last):
        choice.param.watch(refresh, "value")
    refresh()
    panel.state.add_periodic_callback(refresh, period=round(1000 * every))
    return panel.Column(panel.Row(select, last), head, body, sizing_mode="stretch_width")
