"""Drivers of other packages: entry points of the group ``labkit.instruments``, by short name."""

from typing import Any


def plugin_driver(name: str) -> Any:
    """Return the driver that an installed plug-in calls `name`.

    Raises
    ------
    AttributeError
        If there is none, or it cannot be loaded; the message names the plug-in.
    """
    from importlib.metadata import entry_points

    for point in entry_points(group="labkit.instruments", name=name):
        try:
            return point.load()
        except Exception as error:  # foreign code may fail in any way
            owner = point.dist.name if point.dist is not None else "an unknown package"
            message = (
                f"driver {name!r} of plug-in {owner} ({point.value}) cannot be loaded: "
                f"{type(error).__name__}: {error}"
            )
            raise AttributeError(message) from error
    message = f"module 'instruments' has no attribute {name!r}"
    raise AttributeError(message)
