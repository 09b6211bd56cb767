"""`Recipe`: how to train on a set of rows, as data: a file of a dozen lines."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from made_tf.conditionals import Bernoulli, Conditionals
from made_tf.models.settings import Settings
from made_tf.portable.arguments import boolean, integer
from made_tf.training.schedule import Training

__all__ = ["Recipe", "check_name", "recipe_names"]

_FOLDER = resources.files("made_tf.training") / "recipes"
_OF_THE_DATA = {"event_size", "conditionals", "seed"}  # a recipe serves any rows and any seed
_OF_MADE = {field.name for field in dataclasses.fields(Settings) if field.init} - _OF_THE_DATA
_OF_MODEL = _OF_MADE - {"num_orders"}  # which stands by itself: training uses another number
_OF_TRAINING = {field.name for field in dataclasses.fields(Training)}
_LIMITS = ("min_rows", "max_rows", "min_variables", "max_variables")  # of data it is for
_BINARY = "binary"  # whether it is for tables of binary columns alone, or for all others
_UNKNOWN = "tells_unknown"
_FRESH = "fresh"  # TOML has no word for None
_NAME = re.compile(r"[\w-][\w.-]*")  # a part of a file's name; never a path, never hidden


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to train an ensemble on a set of rows.

    Attributes:
        name: the name of its file, without the ending: letters, digits, `_`,
            `-` and, not at the beginning, `.`.
        about: what it is for.
        model: arguments of `MADE`; `num_masks` may be `"fresh"` for `None`.
        training: see `Training`.
        members: how many models with seeds of their own the ensemble has.
        num_orders: over how many orders each member's density is averaged in
            the end.
        tells_unknown: whether the network of bits is to tell an unknown one from a zero, where
            `conditionals` are "bernoulli" and no more is said; `None` for what suits the purpose.
        candidates: networks to choose from: for each, by a name of the same
            letters, the arguments of `model` and of `training` that differ,
            `num_orders`, `members` and `tells_unknown` where they do, and perhaps for which data
            it is: at least `min_rows` and at most `max_rows` to learn from, `min_variables` to
            `max_variables` columns, `binary = true` for binary columns alone and `false` for
            tables with others. One model of each is trained, and the
            candidate that is best on the validation rows becomes the ensemble.
    """

    name: str
    about: str = ""
    model: dict[str, Any] = dataclasses.field(default_factory=dict)
    training: Training = dataclasses.field(default_factory=Training)
    members: int = 1
    num_orders: int = 1
    tells_unknown: bool | None = None
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
            ValueError: if a name is none, a key is unknown or a value out of
                range.
        """
        check_name("name", name)
        content = copy.deepcopy(content)
        fields = {field.name for field in dataclasses.fields(cls)} - {"name"}
        _known("recipe", content, fields)
        training = content.pop("training", {})
        _known("training", training, _OF_TRAINING)
        recipe = cls(name, training=Training(**training), **content)
        integer("members", recipe.members)
        integer("num_orders", recipe.num_orders)
        if recipe.tells_unknown is not None:
            boolean(_UNKNOWN, recipe.tells_unknown)
        _known("model", recipe.model, _OF_MODEL)
        for candidate in recipe.candidates:
            check_name("candidates", candidate)
            recipe.candidate(candidate)
        return recipe

    def candidates_for(
        self, num_rows: int, num_variables: int, is_binary: bool = True
    ) -> dict[str, Recipe]:
        """Returns the candidates for rows of such a shape, as recipes of their own by name.

        Of equal ones there is the first alone. A recipe without candidates, or
        without any for these rows, is its own candidate, named "".

        Args:
            num_rows: how many there are to learn from.
            num_variables: how many columns they have.
            is_binary: whether all of these are binary.
        """
        chosen: dict[str, Recipe] = {}
        for name, changes in self.candidates.items():
            fits = changes.get("min_rows", 0) <= num_rows <= changes.get("max_rows", num_rows)
            most = changes.get("max_variables", num_variables)
            fits = fits and changes.get("min_variables", 0) <= num_variables <= most
            fits = fits and changes.get(_BINARY, is_binary) == is_binary
            candidate = self.candidate(name)
            if fits and candidate not in chosen.values():
                chosen[name] = candidate
        return chosen or {"": self.candidate("")}

    def candidate(self, name: str) -> Recipe:
        """Returns the recipe of a candidate, which has none of its own.

        The name "" stands for what the recipe says without them.

        Raises:
            ValueError: if a key is unknown or a value out of range.
        """
        changes = self.candidates[name] if name else {}
        _known(
            f"candidates.{name}",
            changes,
            {"model", "training", "num_orders", "members", _UNKNOWN, *_LIMITS, _BINARY},
        )
        _known(f"candidates.{name}.model", changes.get("model", {}), _OF_MODEL)
        _known(f"candidates.{name}.training", changes.get("training", {}), _OF_TRAINING)
        for limit in _LIMITS:
            integer(limit, changes.get(limit, 1))
        for fact in (_BINARY, _UNKNOWN):
            boolean(fact, changes.get(fact, True))
        model = {**self.model, **changes.get("model", {})}
        if name and not model.get("evidence_units"):
            model.pop("few_weight", None)  # of which networks without them know nothing
        return dataclasses.replace(
            self,
            model=model,
            training=dataclasses.replace(self.training, **changes.get("training", {})),
            num_orders=integer("num_orders", changes.get("num_orders", self.num_orders)),
            members=integer("members", changes.get("members", self.members)),
            tells_unknown=changes.get(_UNKNOWN, self.tells_unknown),
            candidates={},
        )

    @property
    def looks_judge(self) -> bool:
        """Whether a look sees what counts in the end, so that it tells who can still win.

        Of a schedule the gain comes at the end, and a look may see fewer orders.
        """
        training = self.training
        return training.schedule == "constant" and self.num_orders == training.validation_orders

    def overridden(self, **entries: Any) -> Recipe:
        """Returns the recipe with other entries, in itself and in all of its candidates.

        With a number of masks, no more orders are averaged than there are masks. With several, no
        network reads evidence, which goes with one. Layers that read evidence become as wide as the
        hidden ones.

        Args:
            **entries: what is to be otherwise, by its name in `model` or in
                `training`, or `members`, `num_orders` or `tells_unknown`.

        Raises:
            ValueError: if a name is unknown or a value out of range.

        Example:
            >>> recipe = Recipe.load("default").overridden(dropout=0.2, patience=5)
            >>> [each.model["dropout"] for each in recipe.candidates_for(1000, 20).values()]
            [0.2, 0.2, 0.2]
        """
        _known("entries", entries, {*_OF_MODEL, *_OF_TRAINING, "members", "num_orders", _UNKNOWN})
        entries = {name: _plain(value) for name, value in entries.items()}
        if "num_masks" in entries and entries["num_masks"] is None:
            entries["num_masks"] = _FRESH
        if entries.get("num_masks", 1) != 1:
            entries.setdefault("evidence_units", [])
        content = self.to_dict()
        for candidate in content.get("candidates", {}).values():
            for table in (candidate, candidate.get("model", {}), candidate.get("training", {})):
                for name in entries.keys() & table.keys():
                    del table[name]
        for name, value in entries.items():
            table = content
            if name in _OF_MODEL:
                table = content.setdefault("model", {})
            elif name in _OF_TRAINING:
                table = content["training"]
            table[name] = value
        if "hidden_units" in entries and "evidence_units" not in entries:
            for part in (content, *content.get("candidates", {}).values()):
                if part.get("model", {}).get("evidence_units"):
                    part["model"]["evidence_units"] = entries["hidden_units"]
        most = entries.get("num_masks")
        if isinstance(most, int):
            averaged = {"num_orders", "validation_orders"} - entries.keys()
            for part in (content, *content.get("candidates", {}).values()):
                for table in (part, part.get("training", {})):
                    table |= {name: min(table[name], most) for name in averaged & table.keys()}
        changed = self.from_dict(self.name, content)
        each = map(changed.candidate, ("", *changed.candidates))
        if "few_weight" in entries and not any(part.model.get("evidence_units") for part in each):
            raise ValueError(
                "`few_weight` is for networks that read evidence (`evidence_units`), of which "
                f"recipe {self.name!r} has none. Received: few_weight={entries['few_weight']}"
            )
        return changed

    def model_arguments(self) -> dict[str, Any]:
        """Returns the arguments of `MADE`."""
        arguments = dict(self.model)
        if arguments.get("num_masks") == _FRESH:
            arguments["num_masks"] = None
        return arguments

    def family(self, conditionals: str | Conditionals) -> str | Conditionals:
        """Returns the conditionals that a model is to have where these are asked for."""
        bits = self.tells_unknown and conditionals == Bernoulli.name
        return Bernoulli(tells_unknown=True) if bits else conditionals

    def to_dict(self) -> dict[str, Any]:
        """Returns the content of a file of this recipe."""
        content = dataclasses.asdict(self)
        return {
            key: content[key] for key in content if key != "name" and content[key] not in ({}, None)
        }

    def to_toml(self) -> str:
        """Returns the text of a file of this recipe."""
        content = self.to_dict()
        tables: dict[str, dict[str, Any]] = {
            key: content.pop(key, {}) for key in ("model", "training")
        }
        for name, changes in content.pop("candidates", {}).items():
            parts = {key: changes[key] for key in ("model", "training") if key in changes}
            key = f"candidates.{json.dumps(name, ensure_ascii=False)}"  # a name may have a dot
            tables[key] = {k: v for k, v in changes.items() if k not in parts}
            tables |= {f"{key}.{part}": table for part, table in parts.items()}
        lines = [_line(key, value) for key, value in content.items()]
        for name, table in tables.items():
            lines += ["", f"[{name}]", *(_line(key, value) for key, value in table.items())]
        return "\n".join([*lines, ""])


def recipe_names() -> list[str]:
    """Returns the names of the recipes that come with the package."""
    names = (entry.name for entry in _FOLDER.iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def check_name(argument: str, name: object) -> None:
    """Checks the name of a recipe or of a candidate, after which files are named.

    Raises:
        ValueError: if it has anything but letters, digits, `_`, `-` and `.`, or
            begins with a `.`.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"`{argument}` must have names of letters, digits, _, - and (not first) . alone, since "
            f"files are named after them. Received: {name!r}"
        )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value  # as a file has it


def _line(key: str, value: Any) -> str:
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"  # is TOML, too


def _known(where: str, given: dict[str, Any], names: set[str]) -> None:
    unknown = sorted(set(given) - names)
    if unknown:
        raise ValueError(
            f"`{where}` must have keys among {sorted(names)}. Received: {', '.join(unknown)}"
        )
