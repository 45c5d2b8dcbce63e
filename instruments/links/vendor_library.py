"""Loading of vendors' libraries and optional packages, only when a device needs them."""

import ctypes
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any


def load_library(
    file_name: str, maker: str, signatures: Mapping[str, tuple[Any, Sequence[Any]]]
) -> Any:
    """Load a shared library and declare the functions that are used.

    Parameters
    ----------
    file_name : str
        Name or full path.
    maker : str
        Whose software it comes with.
    signatures : mapping of str to (type, sequence of type)
        Result and argument types by function.

    Raises
    ------
    OSError
        If it cannot be loaded.
    """
    try:
        library = ctypes.CDLL(file_name)
    except OSError as error:
        message = (
            f"the library must be loadable as {file_name!r}, but is not ({error}); install "
            f"the software of {maker} or give the library's full path"
        )
        raise OSError(message) from error
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, tuple(arguments)
    return library


def optional_package(module: str, remedy: str) -> Any:
    """Import a package that only some devices need.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed; the message gives the remedy.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        message = f"{module} must be installed for this device, but is not; {remedy}"
        raise ModuleNotFoundError(message, name=error.name) from error
