"""The model card of a file: where its model is from, how good it is, what it is for."""

from __future__ import annotations

import json
import math
import numbers
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from made_tf.portable.files import PathLike

__all__ = ["CARD", "card_lines", "check_card", "read_card"]

#: What a card may say. The licence has an entry of its own in the metadata.
CARD = ("data", "metrics", "intended_use", "limitations")
_MISSING = "not said"


def check_card(card: Mapping[str, Any] | None) -> dict[str, Any]:
    """Returns a card as it is stored: texts, and metrics by name.

    Args:
        card: entries among `CARD`: each a text, `metrics` a text or a mapping from names to numbers
            or texts. `None` for a card that says nothing.

    Raises:
        ValueError: if an entry is unknown, empty or no text.
    """
    if card is None:
        return {}
    if not isinstance(card, Mapping) or not set(card) <= set(CARD):
        raise ValueError(
            f"`card` must be a mapping with entries among {list(CARD)} (the licence is the "
            f"argument `licence`). Received: card={card!r}"
        )
    return {name: _entry(name, value) for name, value in card.items()}


def _entry(name: str, value: Any) -> Any:
    if _is_text(value):
        return value
    if name == "metrics" and isinstance(value, Mapping) and value:
        if all(
            _is_text(key) and (_is_text(item) or _is_number(item)) for key, item in value.items()
        ):
            return {
                key: item if isinstance(item, str) else _plain(item) for key, item in value.items()
            }
        expected = "have names with finite numbers or texts"
    else:
        expected = "be a text" + (" or a mapping from names to numbers" * (name == "metrics"))
    raise ValueError(f"`card[{name!r}]` must {expected}. Received: {value!r}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    return isinstance(value, numbers.Integral) or math.isfinite(value)


def _plain(number: Any) -> int | float:
    return int(number) if isinstance(number, numbers.Integral) else float(number)


def read_card(path: PathLike) -> dict[str, Any]:
    """Reads a card from a `.toml` or `.json` file.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is not readable, or no card.
    """
    path = Path(path)
    if path.suffix not in (".toml", ".json"):
        raise ValueError(f"{path} must end in .toml or .json.")
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise ValueError(f"{path} is not readable: {error}") from error
    try:
        return check_card(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def card_lines(metadata: Mapping[str, Any]) -> list[str]:
    """Returns the card of a file in lines; of what is missing it says so.

    Args:
        metadata: of the file. Those of before there were cards have none.
    """
    card = metadata.get("card")
    card = card if isinstance(card, Mapping) else {}
    entries = [(name.replace("_", " "), card.get(name)) for name in CARD]
    entries.append(("licence", metadata.get("licence")))
    return ["model card:", *(f"  {name}: {_text(value)}" for name, value in entries)]


def _text(value: Any) -> str:
    if not value:
        return _MISSING
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    return " ".join(str(value).split())  # a line break would look like another entry
