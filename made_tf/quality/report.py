"""`QualityReport`: what was found, as text, as JSON, as a page."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from made_tf.portable.files import PathLike, replacing
from made_tf.quality.findings import Findings, figure_text
from made_tf.quality.page import page

__all__ = ["QualityReport"]


class QualityReport(Findings):
    """How good synthetic rows are, beside real rows that were not learned from.

    Print it to read it, or write it to a file. What was found are the attributes of `Findings`.
    """

    def __str__(self) -> str:
        """Returns the figures as a table, for people."""
        lines = self.lines()
        width = max(len(line.name) for line in lines)
        has_real = any(line.real is not None for line in lines)
        heads = f"{'':{width}}  synthetic{'   real' if has_real else ''}"
        texts = [self.heading(), "", heads]
        for line in lines:
            real = f"  {figure_text(line.real):>5}" if has_real else ""
            rest = "; ".join(filter(None, [line.best, line.more]))
            texts.append(f"{line.name:{width}}  {figure_text(line.synthetic):>9}{real}  {rest}")
        if self.left_out:
            names = (f"{name} ({reason})" for name, reason in self.left_out.items())
            texts += ["", f"Left out: {', '.join(names)}"]
        return "\n".join(texts)

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as JSON values; what is not known is `None`."""
        parts = {
            "counts": self.counts,
            "seed": self.seed,
            "shapes": self.shapes,
            "trends": self.trends,
            "columns": [column._asdict() for column in self.columns],
            "pairs": [pair._asdict() for pair in self.pairs],
            "two_sample": self.two_sample._asdict(),
            "utility": self.utility and self.utility._asdict(),
            "memorisation": self.memorisation and self.memorisation._asdict(),
            "left_out": self.left_out,
        }
        return _json_values(parts)

    def to_json(self, path: PathLike) -> None:
        """Writes `to_dict` to a file.

        Raises:
            OSError: if it cannot be written.
        """
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False)
        with replacing(path) as temporary:
            Path(temporary).write_text(f"{text}\n", encoding="utf-8")

    def to_html(self, path: PathLike) -> None:
        """Writes the report with its pictures to one file, which needs nothing else.

        Raises:
            ModuleNotFoundError: if Matplotlib is not installed.
            OSError: if it cannot be written.
        """
        text = page(self)
        with replacing(path) as temporary:
            Path(temporary).write_text(text, encoding="utf-8")


def _json_values(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _json_values(own) for name, own in value.items()}
    if isinstance(value, list):
        return [_json_values(own) for own in value]
    return None if isinstance(value, float) and math.isnan(value) else value
