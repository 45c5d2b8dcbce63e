"""``labkit dashboard``: a run watched from outside, live or as one page or as JSON."""

from pathlib import Path
from typing import Annotated

import typer

from labkit.cli.output import print_json, remarks
from labkit.cli.tags import Json


def register(app: typer.Typer) -> None:
    """Add this room's command to the app."""
    app.command()(dashboard)


def dashboard(
    path: Annotated[
        Path, typer.Argument(metavar="RUN|FOLDER", help="Run folder, or folder of runs.")
    ] = Path("runs"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the page.")] = 5006,
    address: Annotated[
        str, typer.Option(help="Where to listen; 0.0.0.0 shows the page to the whole network.")
    ] = "localhost",
    token: Annotated[
        str | None,
        typer.Option(
            envvar="LABKIT_TOKEN",
            help="What a visitor must send; by default a new one unless the address is localhost.",
        ),
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
    every: Annotated[
        float, typer.Option(min=0.5, metavar="SECONDS", help="Look at the folder so often.")
    ] = 5.0,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one page that stands alone; end.")
    ] = None,
    json: Json = False,
) -> None:
    """Watch a run: its progress, R_m, rates and drifts.

    Of a folder of runs the newest is shown first. The folder is only read: any computer that sees
    it can watch, while the run goes on or after its end.
    """
    from labkit.dashboard.watch import Watch

    watch = Watch(path, fresh=every / 2)
    if html is not None:
        html.write_text(watch.document(watch.newest()), encoding="utf-8")
        remarks.print(f"page: {html}", soft_wrap=True)
    if json:
        print_json(watch.snapshot(watch.newest()).to_dict())
    if html is None and not json:
        from labkit.dashboard.live import serve
        from labkit.dashboard.token import token_for

        def tell(url: str) -> None:
            remarks.print(f"{url} shows {path}; Ctrl-C ends", soft_wrap=True, markup=False)

        asked = token_for(address, token)
        serve(
            watch, address=address, port=port, browser=browser, every=every, token=asked, tell=tell
        )
