"""Public names of a package that are loaded when first used; its stub file says where they are."""

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path


def lazy_names(
    package: str, file: str
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package (PEP 562).

    Parameters
    ----------
    package, file : str
        ``__name__`` and ``__file__`` of the package. The stub beside it, ``__init__.pyi``, which
        type checkers and editors read, holds lines ``from module import name as name``, or
        ``from module import name`` and ``other_name = name``.

    Returns
    -------
    getattr, dir : callable
    names : list of str
        The public names.
    """
    tree = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))
    places: dict[str, tuple[str, str]] = {}
    homes: dict[str, tuple[str, str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                place = (node.module or package, alias.name)
                (homes if alias.asname else places)[alias.name] = place
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            homes |= {ast.unparse(target): places[node.value.id] for target in node.targets}

    def load(name: str) -> object:
        if name not in homes:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=import_module(package))
        module, attribute = homes[name]
        return getattr(import_module(module), attribute)

    def names() -> list[str]:
        own = vars(import_module(package))
        return sorted({*(name for name in own if name.startswith("__")), *homes})

    return load, names, sorted(homes)
