"""Recipes: how to train on a set of rows, as data."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from made_tf.models.made import MADE
from made_tf.portable.arguments import integer
from made_tf.training.schedule import Training

__all__ = ["Recipe", "recipe_names"]

_FOLDER = resources.files("made_tf.training") / "recipes"
_OF_THE_DATA = {"self", "event_size", "conditionals", "seed", "num_orders", "kwargs"}
_OF_MADE = set(inspect.signature(MADE.__init__).parameters) - _OF_THE_DATA
_LIMITS = ("max_rows", "min_variables")  # of the data that a candidate is for
_FRESH = "fresh"  # TOML has no word for None


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to train an ensemble on a set of rows.

    Attributes:
        name: the name of its file, without the ending.
        about: what it is for.
        model: arguments of `MADE`; `num_masks` may be `"fresh"` for `None`.
        training: see `Training`.
        members: how many models with seeds of their own the ensemble has.
        num_orders: over how many orders each member's density is averaged in
            the end.
        candidates: several ways to go: for each, by name, the arguments of
            `model` and of `training` that differ, `num_orders` where it does,
            and perhaps `max_rows` or `min_variables`: with more rows to learn
            from, or fewer variables, it is left out. One model of each is
            trained, and the one that is best on the validation rows is gone on
            with.
    """

    name: str
    about: str = ""
    model: dict[str, Any] = dataclasses.field(default_factory=dict)
    training: Training = dataclasses.field(default_factory=Training)
    members: int = 1
    num_orders: int = 1
    candidates: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)

    @classmethod
    def load(cls, name: str | Path) -> Recipe:
        """Reads a recipe that comes with the package, or a `.toml` file.

        Raises:
            ValueError: if there is no such recipe, or it is not readable.
        """
        path = Path(name)
        if path.suffix == ".toml":
            if not path.is_file():
                raise ValueError(f"`recipe` must be a file or a name. There is no file {path}")
            text = path.read_text(encoding="utf-8", errors="replace")
        elif str(name) in recipe_names():
            text = (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
        else:
            raise ValueError(
                f"`recipe` must be a .toml file or one of {recipe_names()}. "
                f"Received: recipe={str(name)!r}"
            )
        try:
            return cls.from_dict(path.stem, tomllib.loads(text))
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"The recipe {name} is not usable: {error}") from error

    @classmethod
    def from_dict(cls, name: str, content: dict[str, Any]) -> Recipe:
        """Checks what a file says.

        Raises:
            ValueError: if a key is unknown or a value out of range.
        """
        content = copy.deepcopy(content)
        fields = {field.name for field in dataclasses.fields(cls)} - {"name"}
        _known("recipe", content, fields)
        training = content.pop("training", {})
        _known("training", training, {field.name for field in dataclasses.fields(Training)})
        recipe = cls(name, training=Training(**training), **content)
        integer("members", recipe.members)
        integer("num_orders", recipe.num_orders)
        _known("model", recipe.model, _OF_MADE)
        for candidate in recipe.candidates:
            recipe.candidate(candidate)
        return recipe

    def ways(self, num_rows: int, num_variables: int) -> dict[str, Recipe]:
        """Returns the candidates for rows of such a shape by name.

        A recipe that has none, or none for these rows, goes its own way, named "".
        """
        names = [
            name
            for name, changes in self.candidates.items()
            if num_rows <= changes.get("max_rows", num_rows)
            and num_variables >= changes.get("min_variables", 0)
        ]
        return {name: self.candidate(name) for name in names} or {"": self.candidate("")}

    def candidate(self, name: str) -> Recipe:
        """Returns the recipe that goes one of its ways: without candidates of its own.

        The name "" leaves it as it is.

        Raises:
            ValueError: if a key is unknown or a value out of range.
        """
        changes = self.candidates[name] if name else {}
        _known(f"candidates.{name}", changes, {"model", "training", "num_orders", *_LIMITS})
        _known(f"candidates.{name}.model", changes.get("model", {}), _OF_MADE)
        for limit in _LIMITS:
            integer(limit, changes.get(limit, 1))
        training = dataclasses.asdict(self.training)
        _known(f"candidates.{name}.training", changes.get("training", {}), set(training))
        return dataclasses.replace(
            self,
            model={**self.model, **changes.get("model", {})},
            training=Training(**{**training, **changes.get("training", {})}),
            num_orders=integer("num_orders", changes.get("num_orders", self.num_orders)),
            candidates={},
        )

    def model_arguments(self) -> dict[str, Any]:
        """Returns the arguments of `MADE`."""
        arguments = dict(self.model)
        if arguments.get("num_masks") == _FRESH:
            arguments["num_masks"] = None
        return arguments

    def to_dict(self) -> dict[str, Any]:
        """Returns the content of a file of this recipe."""
        content = dataclasses.asdict(self)
        return {key: content[key] for key in content if key != "name" and content[key] != {}}

    def to_toml(self) -> str:
        """Returns the text of a file of this recipe."""
        content = self.to_dict()
        tables: dict[str, dict[str, Any]] = {
            key: content.pop(key, {}) for key in ("model", "training")
        }
        for name, changes in content.pop("candidates", {}).items():
            parts = {key: changes[key] for key in ("model", "training") if key in changes}
            tables[f"candidates.{name}"] = {k: v for k, v in changes.items() if k not in parts}
            tables |= {f"candidates.{name}.{part}": table for part, table in parts.items()}
        lines = [_line(key, value) for key, value in content.items()]
        for name, table in tables.items():
            lines += ["", f"[{name}]", *(_line(key, value) for key, value in table.items())]
        return "\n".join([*lines, ""])


def recipe_names() -> list[str]:
    """Returns the names of the recipes that come with the package."""
    names = (entry.name for entry in _FOLDER.iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def _line(key: str, value: Any) -> str:
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"  # is TOML, too


def _known(where: str, given: dict[str, Any], names: set[str]) -> None:
    unknown = sorted(set(given) - names)
    if unknown:
        raise ValueError(
            f"`{where}` must have keys among {sorted(names)}. Received: {', '.join(unknown)}"
        )
