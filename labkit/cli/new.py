"""``labkit new``: commented files to begin with, which run as they are."""

from pathlib import Path
from typing import Annotated

import typer

from labkit.cli.help import App
from labkit.cli.output import remarks

new = App(help="Write a commented file to begin with.")

Yaml = Annotated[Path, typer.Argument(metavar="OUT.yaml", help="File to write.")]


def register(app: typer.Typer) -> None:
    """Add this room's commands to the app."""
    app.add_typer(new, name="new")


@new.command()
def station(
    target: Yaml,
    example: Annotated[
        bool, typer.Option("--example", help="Of a real lab, with addresses to fill in.")
    ] = False,
) -> None:
    """Write a station file: a copy of the virtual lab's, or one for a real lab."""
    from labkit.station.config import station_path

    write_new({target: station_path("example" if example else "virtual").read_text("utf-8")})
    _say_next(f"labkit lab check {target}")


@new.command()
def experiment(target: Yaml) -> None:
    """Write an experiment that runs in the virtual lab, to be changed into your own."""
    write_new({target: _template("experiment.yaml")})
    _say_next(f"labkit run {target}")


@new.command()
def model(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="A new .py or .yaml.")],
) -> None:
    """Write a theory model of a network of modes, to be changed into your own."""
    from labkit.model_file import write_template

    write_template(target)
    remarks.print(f"wrote {target}", soft_wrap=True, markup=False)
    _say_next(f"labkit theory point {target}")


@new.command()
def driver(
    target: Annotated[Path, typer.Argument(metavar="OUT.py", help="The driver's file.")],
) -> None:
    """Write a QCoDeS driver, its simulated twin, and a test of both.

    The twin and the test get the driver's name with simulated_ and test_ before it.
    """
    if target.suffix != ".py" or not target.stem.isidentifier():
        message = f"a driver must be a file such as my_source.py, but is {target.name!r}"
        raise ValueError(message)
    twin, test = (target.with_name(f"{what}_{target.name}") for what in ("simulated", "test"))
    names = {
        "SIMULATED_MODULE": twin.stem, "SIMULATED_FILE": twin.name, "TEST_FILE": test.name,
        "DRIVER_FILE": target.name, "MODULE": target.stem,
    }  # fmt: skip
    texts = {}
    for file, template in (
        (target, "driver.py"),
        (twin, "simulated_driver.py"),
        (test, "test_driver.py"),
    ):
        texts[file] = _template(template)
        for word, name in names.items():
            texts[file] = texts[file].replace(word, name)
    write_new(texts)
    _say_next(f"python -m pytest {test}")


def _template(name: str) -> str:
    import labkit

    return (Path(labkit.__file__).parent / "templates" / name).read_text(encoding="utf-8")


def write_new(texts: dict[Path, str]) -> None:
    """Write new files, all or none.

    Raises
    ------
    FileExistsError
        If one exists.
    """
    for path in texts:
        if path.exists():
            message = f"{path} exists; choose another name"
            raise FileExistsError(message)
    for path, text in texts.items():
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
        remarks.print(f"wrote {path}", soft_wrap=True, markup=False)


def _say_next(command: str) -> None:
    remarks.print(f"try `{command}`", soft_wrap=True, markup=False, highlight=False)
