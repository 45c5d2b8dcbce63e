"""How results show themselves in a notebook."""

from collections.abc import Iterable
from html import escape


def html_table(rows: Iterable[Iterable[str]], head: Iterable[str] = ()) -> str:
    """Return a table of plain texts, the first of each row as its name."""
    lines = [_row(head, "th")] if head else []
    for first, *others in rows:
        lines.append(_row([first], "th") + _row(others, "td"))
    body = "".join(f'<tr style="text-align:left">{line}</tr>' for line in lines)
    return f"<table>{body}</table>"


def html_text(text: str) -> str:
    """Return lines that are aligned by blanks."""
    return f"<pre>{escape(text)}</pre>"


def _row(cells: Iterable[str], tag: str) -> str:
    return "".join(f'<{tag} style="text-align:left">{escape(cell)}</{tag}>' for cell in cells)
