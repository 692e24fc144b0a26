"""HTML and SVG by string building: everything that is put in is escaped, but for what was built here."""

from __future__ import annotations

from html import escape


class Html(str):
    """Markup that was built here."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str | float | None) -> Html:
    """`class_` and names with `_` are written with `-`; an attribute that is None is left out. Text is escaped."""
    told = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_value(value), quote=True)}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Html(f"<{tag}{told}>{''.join(_safe(child) for child in children)}</{tag}>")


def void(tag: str, **attributes: str | float | None) -> Html:
    """An element that has no end."""
    return Html(str(element(tag, **attributes)).removesuffix(f"</{tag}>"))


def joined(*parts: str) -> Html:
    return Html("".join(_safe(part) for part in parts))


def _safe(text: str) -> str:
    return text if isinstance(text, Html) else escape(text)


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.5g}" if abs(value) < 1 else f"{value:.1f}"
