"""A report as one page of HTML: text, figures and pictures, and nothing to load."""

from __future__ import annotations

import base64
import html
import io
import string
from collections.abc import Iterable
from importlib import resources

from made_tf.portable.version import __version__
from made_tf.quality.findings import Findings, Line, figure_text
from made_tf.quality.pictures import (
    MOST_COLUMNS,
    Picture,
    association_pictures,
    column_pictures,
    pair_pictures,
)

__all__ = ["page"]

_DOTS = 150  # an inch


def page(report: Findings) -> str:
    """Returns the page."""
    template = (resources.files("made_tf.quality") / "page.html").read_text(encoding="utf-8")
    parts = {
        "heading": html.escape(report.heading()),
        "figures": "\n".join(map(_figure, report.lines())),
        "columns": _gallery(column_pictures(report)) + _too_many(report),
        "pairs": _section(
            "Pairs of columns",
            "Those that are furthest off, and those that depend most on each other. Where numbers "
            "stand beside classes: a point at the median, lines around 50 and 90 % of the rows.",
            _gallery(pair_pictures(report), wide=True),
            bool(report.pairs),
        ),
        "associations": _section(
            "Dependence of columns",
            "Correlations of numbers, Cramér's V where classes are among them; blue for together, "
            "red for against each other.",
            _gallery(association_pictures(report) if report.pairs else ()),
            bool(report.pairs),
        ),
        "rows_of_columns": "\n".join(
            _row(each.name, each.score, each.reference, each.real_missing, each.synthetic_missing)
            for each in report.columns
        ),
        "rows_of_pairs": "\n".join(
            _row(f"{each.first} and {each.second}", *each[2:])
            for each in sorted(report.pairs, key=lambda pair: pair.score)
        ),
        "left_out": _left_out(report),
        "version": __version__,
        "seed": str(report.seed),
    }
    return string.Template(template).substitute(parts)


def _figure(line: Line) -> str:
    own, real = (figure_text(each) for each in (line.synthetic, line.real))
    beside = f'<span class="real">real rows: {real}</span>' if real else ""
    more = f"<small>{html.escape(line.more)}</small>" if line.more else ""
    return (
        f"<li><h3>{html.escape(line.name)}</h3><p><b>{own or '?'}</b>{beside}</p>"
        f"<small>{html.escape(line.best)}</small>{more}</li>"
    )


def _section(title: str, text: str, content: str, is_there: bool) -> str:
    if not is_there:
        return ""
    return f"<section><h2>{title}</h2><p>{text}</p>{content}</section>"


def _gallery(pictures: Iterable[Picture], wide: bool = False) -> str:
    figures = "\n".join(map(_framed, pictures))
    return f'<div class="gallery{" wide" if wide else ""}">{figures}</div>'


def _framed(picture: Picture) -> str:
    """Returns a picture with its caption; the address of the picture holds it."""
    file = io.BytesIO()
    picture.figure.savefig(file, format="png", dpi=_DOTS, facecolor="white")
    data = base64.b64encode(file.getvalue()).decode("ascii")
    width, height = (round(_DOTS * each) for each in picture.figure.get_size_inches())
    return (
        f'<figure><img src="data:image/png;base64,{data}" width="{width}" height="{height}" '
        f'alt="{html.escape(picture.alt)}">'
        f"<figcaption>{html.escape(picture.caption)}</figcaption></figure>"
    )


def _row(name: str, *figures: float | None) -> str:
    cells = "".join(f"<td>{figure_text(each)}</td>" for each in figures)
    return f'<tr><th scope="row">{html.escape(name)}</th>{cells}</tr>'


def _too_many(report: Findings) -> str:
    if len(report.columns) <= MOST_COLUMNS:
        return ""
    return f"<p>Pictures of the first {MOST_COLUMNS} columns; the scores below are of all.</p>"


def _left_out(report: Findings) -> str:
    if not report.left_out:
        return ""
    names = "; ".join(f"{name} ({reason})" for name, reason in report.left_out.items())
    return f"<p>Left out: {html.escape(names)}.</p>"
