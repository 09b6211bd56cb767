"""What a file says of itself: one entry of its metadata, in JSON."""

from __future__ import annotations

import json
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from made_tf.export.contexts import context_shape
from made_tf.export.file.card import check_card
from made_tf.export.networks import num_uniforms
from made_tf.export.runtime.files import DIGEST_MARK, METADATA_FORMAT
from made_tf.models.density_model import DensityModel
from made_tf.models.ensemble import Ensemble
from made_tf.models.made import MADE
from made_tf.portable.digests import CONTENT_DIGITS, content_digest
from made_tf.portable.schema import Schema
from made_tf.portable.version import __version__

__all__ = ["add_metadata", "describe_model", "seal"]

_ENTRY = "made_tf"
_SEEDS = (
    "Row i of the sample with seed s is drawn from seeds[i] = [s, i], both int32, "
    "with the counter-based generator Philox4x32-10."
)


def describe_model(
    model: MADE | Ensemble,
    num_orders: int,
    weights: str,
    variables: Sequence[Mapping[str, Any]] | None = None,
    image_shape: Sequence[int] | None = None,
    licence: str | None = None,
    context_names: Sequence[str] | None = None,
    schema: Mapping[str, Any] | None = None,
    card: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns what a file tells of a model.

    Args:
        model: the model, or an ensemble: of it the number of `members`, and of what these may
            differ in the first one's `input_order`.
        num_orders: M, how many orders the file's density averages; of an ensemble the most
            orders of a member.
        weights: the format of the weights.
        variables: for each variable in turn its `name` and, where it has
            classes, perhaps `categories`: a name for each.
        image_shape: height and width of a row's picture.
        licence: of the model, such as `"CC-BY-4.0"`.
        context_names: a name for each number of the context.
        schema: of the table whose rows these are.
        card: the model card, as of `made_tf.export.file.card.check_card`.

    Raises:
        ValueError: if an argument does not fit the model.
    """
    if licence is not None and not isinstance(licence, str):
        raise ValueError(f"`licence` must be a text. Received: licence={licence!r}")
    first = model.members[0] if isinstance(model, Ensemble) else model
    return {
        "format": METADATA_FORMAT,
        "package": "made_tf",
        "version": __version__,
        "licence": licence,
        "event_size": model.event_size,
        "num_uniforms": num_uniforms(model, num_orders),
        "input_order": first.degrees.inputs.tolist(),
        "num_orders": num_orders,
        "any_order": model.any_order,
        **({"members": len(model.members)} if isinstance(model, Ensemble) else {}),
        "weights": weights,
        "family": _family(model),
        "variables": _variables(model, variables),
        "image_shape": _image_shape(model, image_shape),
        **_context(model, context_names),
        **_schema(model, schema),
        "seeds": _SEEDS,
        "sha256": "0" * CONTENT_DIGITS,  # sealed when the file is written
        # Behind the digest, which readers look for from the front: a metric may have its name.
        "card": check_card(card),
    }


def add_metadata(model: Any, description: dict[str, Any]) -> None:
    """Adds the description to the `ModelT` of a file."""
    from tensorflow.lite.python import schema_py_generated as schema

    buffer = schema.BufferT()
    text = json.dumps(description, ensure_ascii=False, separators=(",", ":"))
    buffer.data = np.frombuffer(text.encode(), np.uint8)
    entry = schema.MetadataT()
    entry.name = _ENTRY
    entry.buffer = len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]


def seal(content: bytes) -> bytes:
    """Puts the digest of a file into its metadata, for readers to tell a damaged one."""
    start = content.find(DIGEST_MARK) + len(DIGEST_MARK)
    digest = content_digest(content, start)
    return content[:start] + digest + content[start + len(digest) :]


def _family(model: DensityModel) -> dict[str, Any]:
    """Returns the family's name and, where that does not tell, how many classes columns have."""
    family = model.conditionals
    counts = [
        None if values is None or not np.array_equal(values, range(len(values))) else len(values)
        for values in family.states()
    ]
    if family.name == "bernoulli" or not any(counts):
        return {"name": family.name}
    return {"name": family.name, "num_classes": counts}


def _variables(model: DensityModel, variables: Any) -> list[dict[str, Any]] | None:
    if variables is None:
        return None
    size, states = model.event_size, model.conditionals.states()
    expected = f"a sequence of {size} mappings with a `name` and perhaps `categories`"
    if isinstance(variables, str | Mapping) or len(variables) != size:
        raise ValueError(f"`variables` must be {expected}. Received: variables={variables!r}")
    described = []
    for index, variable in enumerate(variables):
        known = isinstance(variable, Mapping) and set(variable) <= {"name", "categories"}
        if not known or not isinstance(variable.get("name"), str):
            raise ValueError(f"`variables` must be {expected}. Received: [{index}]={variable!r}")
        entry: dict[str, Any] = {"name": variable["name"]}
        if variable.get("categories") is not None:
            names = list(variable["categories"])
            values = states[index]
            count = 0 if values is None else len(values)
            if len(names) != count or not all(isinstance(name, str) for name in names):
                raise ValueError(
                    f"`variables` must have a text for each of the {count} classes of "
                    f"{entry['name']!r}. Received: categories={names!r}"
                )
            entry["categories"] = names
        described.append(entry)
    return described


def _context(model: DensityModel, names: Any) -> dict[str, Any]:
    """Returns the entry of a model with a context: its shape, and names of its numbers."""
    shape = context_shape(model)
    if names is not None:
        count = None if shape is None or len(shape) != 1 else shape[0]
        texts = [] if isinstance(names, str) else list(names)
        if len(texts) != count or not all(isinstance(text, str) for text in texts):
            raise ValueError(
                f"`context_names` must have a text for each of the {count or 0} numbers of the "
                f"context. Received: context_names={names!r}"
            )
        names = texts
    return {} if shape is None else {"context": {"shape": list(shape), "names": names}}


def _schema(model: DensityModel, schema: Any) -> dict[str, Any]:
    """Returns the entry of a model over a table's columns."""
    if schema is None:
        return {}
    known = Schema.from_dict(schema)
    if len(known.variables) != model.event_size:
        raise ValueError(
            f"`schema` must be of a table whose columns have {model.event_size} variables. "
            f"Received: one of {len(known.variables)}"
        )
    return {"schema": known.to_dict()}


def _image_shape(model: DensityModel, image_shape: Any) -> list[int] | None:
    if image_shape is None:
        return None
    shape = list(image_shape)
    whole = all(isinstance(side, numbers.Integral) for side in shape)
    sides = [int(side) for side in shape] if whole else []
    if len(sides) != 2 or min(sides) < 1 or sides[0] * sides[1] != model.event_size:
        raise ValueError(
            "`image_shape` must be a height and a width whose product is the number of variables, "
            f"{model.event_size}. Received: image_shape={image_shape!r}"
        )
    return sides
