"""``labkit convert``, ``labkit merge``: tag files into others."""

from pathlib import Path
from typing import Annotated

import typer

from labkit.cli.output import progress_bar, remarks
from labkit.cli.tags import As

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")]
RoundTimes = Annotated[bool, typer.Option("--round-times", help="Round times to OUT's resolution.")]
DropUnknown = Annotated[
    bool, typer.Option("--drop-unknown", help="Leave out records with a reserved code.")
]


def register(app: typer.Typer) -> None:
    """Add this room's commands to the app."""
    for command in (convert, merge):
        app.command()(command)


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Tag file of any known format.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write; suffix = format.")],
    overwrite: Overwrite = False,
    round_times: RoundTimes = False,
    drop_unknown: DropUnknown = False,
    as_type: As = None,
) -> None:
    """Convert to PTU, photon-HDF5, CSV, NPZ or Parquet."""
    from analysis.tagfile import convert as convert_tags

    with progress_bar("converting", "records") as progress:
        convert_tags(
            source,
            target,
            overwrite=overwrite,
            round_times=round_times,
            drop_unknown=drop_unknown,
            as_type=as_type,
            progress=progress,
        )
    remarks.print(f"wrote {target}", soft_wrap=True)


def merge(
    files: Annotated[
        list[Path], typer.Argument(help="Tag files, in order of time.", metavar="FILE…")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File to write; suffix = format.", metavar="FILE")
    ],
    overwrite: Overwrite = False,
    round_times: RoundTimes = False,
    drop_unknown: DropUnknown = False,
) -> None:
    """Write several recordings of one setting into one file, one after the other."""
    from analysis.tagfile.conversion import merge as merge_tags

    with progress_bar("merging", "records") as progress:
        merge_tags(
            files,
            output,
            overwrite=overwrite,
            round_times=round_times,
            drop_unknown=drop_unknown,
            progress=progress,
        )
    remarks.print(f"wrote {output}", soft_wrap=True)
