"""What the commands tell about runs and files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from made_tf.cli.contexts import context_facts

if TYPE_CHECKING:
    from made_tf.models.made import MADE
    from made_tf.training.parts import Part

__all__ = [
    "interruption_text",
    "json_text",
    "keras_facts",
    "keras_text",
    "nll_text",
    "printable",
    "scores_text",
    "tflite_text",
]


def interruption_text(parts: Sequence[Part], output: Path) -> str:
    """Says what an interrupted training leaves: models of which some are not finished."""
    if not parts:
        return "Interrupted before the first epoch ended: nothing to keep."
    epochs = [f" after epoch {part.epoch}" for part in parts if not part.finished]
    best = min(parts, key=lambda part: part.nll)
    kept = f" {output} is still that of an earlier run." if output.exists() else ""
    return (
        f"Interrupted{''.join(epochs[-1:])}. The best model so far is in {best.path} (epoch "
        f"{best.best_epoch}, val_nll {best.nll:.4f}).{kept} The same command resumes."
    )


def nll_text(summary: dict[str, Any]) -> str:
    """Returns the mean NLL of `made_tf.scoring.summarise` and its error, which may be unknown."""
    error = summary["nll_standard_error"]
    known = "unknown" if math.isnan(error) else f"{error:.4f}"
    return f"{summary['nll']:.4f} nats per row, standard error {known}"


def scores_text(summary: dict[str, Any]) -> str:
    """Returns what `made_tf.scoring.summarise` found in lines."""
    lines = [
        f"rows               {summary['rows']}",
        f"NLL                {nll_text(summary)}",
        f"bits per dimension {summary['bits_per_dim']:.4f}",
    ]
    if "num_orders" in summary:
        lines += [
            f"orders             {summary['num_orders']}, their average leaving a standard error "
            f"of {summary['order_standard_error']:.4f}",
            f"order spread       {summary['order_spread']:.4f} nats",
        ]
    if "path_spread" in summary:
        lines.append(f"path spread        {summary['path_spread']:.4f} nats on marginals")
    return "\n".join(lines)


def printable(text: str) -> str:
    """Returns a text whose lines do nothing to a terminal: names in files may hold anything."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def json_text(facts: Mapping[str, Any]) -> str:
    """Returns facts as JSON, in which a number that is not known is null."""
    return json.dumps(
        {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in facts.items()
        }
    )


def keras_facts(model: MADE, path: Path) -> dict[str, Any]:
    """Returns what a `.keras` file holds, as JSON values; `num_masks` is null where fresh."""
    layers = [
        {
            "name": layer.name,
            "shape": list(layer.mask.shape),
            "live_weights": int(layer.mask.numpy().sum()),
            "parameters": layer.count_params(),
        }
        for layer in model.masked_layers()
    ]
    return {
        "event_size": model.event_size,
        "conditionals": model.conditionals.name,
        "input_order": model.degrees.inputs.tolist(),
        "hidden_degrees": [degrees.tolist() for degrees in model.degrees.hidden],
        "direct_connections": model.direct_connections,
        "residual": model.residual,
        "activation": getattr(model.activation, "__name__", str(model.activation)),
        "dropout": model.dropout,
        "num_masks": model.mask_sets.num_masks,
        "resample": model.mask_sets.resample,
        "masks_per": model.mask_sets.masks_per,
        "mask_weights": model.mask_weights,
        "num_orders": model.num_orders,
        "context": context_facts(model),
        "evidence_units": model.evidence_units,
        "layers": layers,
        "parameters": model.count_params(),
        "size_bytes": path.stat().st_size,
    }


def keras_text(facts: dict[str, Any]) -> str:
    """Returns the layers and sizes of `keras_facts` in lines."""
    residual = "; residual" if facts["residual"] else ""
    lines = [f"activation: {facts['activation']}; dropout: {facts['dropout']:g}{residual}"]
    if facts["num_masks"] != 1:
        lines.append(_masks_text(facts))
    if facts["context"]:
        lines.append(_context_text(facts["context"]))
    for layer in facts["layers"]:
        inputs, outputs = layer["shape"]
        lines.append(
            f"layer {layer['name']}: {inputs} -> {outputs}, {layer['live_weights']:,} of "
            f"{inputs * outputs:,} weights live"
        )
    lines.append(f"parameters: {facts['parameters']:,}; file: {facts['size_bytes']:,} bytes")
    return "\n".join(lines)


def _context_text(facts: dict[str, Any]) -> str:
    if facts["encoder"] is None:
        return f"context: {facts['size']} numbers"
    of = "several inputs, or one of unknown shape"
    if facts["shape"] is not None:
        of = f"{_shape_text(facts['shape'])} numbers"
    return f"context: {facts['size']} numbers, which the model {facts['encoder']!r} makes of {of}"


def _shape_text(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _masks_text(facts: dict[str, Any]) -> str:
    number = facts["num_masks"]
    masks = f"{number} in turn" if number else f"a fresh one for each {facts['masks_per']}"
    what = {
        "both": "order and connectivity differ",
        "evidence": "what comes first as evidence differs",
    }.get(facts["resample"], f"the {facts['resample']} differs")
    weights = ", with weights of their own" if facts["mask_weights"] else ""
    return f"masks: {masks} ({what}){weights}; orders averaged: {facts['num_orders']}"


def tflite_text(facts: dict[str, Any]) -> str:
    """Returns what `made_tf.export.inspect_tflite` found in lines."""
    lines = [f"{facts['size_bytes']:,} bytes, D = {facts['event_size'] or 'unknown'}"]
    for name, signature in facts["signatures"].items():
        inputs, outputs = (_tensors_text(signature[side]) for side in ("inputs", "outputs"))
        lines.append(f"signature {name}: {inputs} -> {outputs}")
    ops = ", ".join(f"{name} {count}" for name, count in facts["ops"].items())
    lines.append(f"operators: {ops}")
    lines.append(_bytes_text(facts["bytes"]))
    if facts["metadata"]:
        lines.extend(_metadata_lines(facts["metadata"]))
    return "\n".join(lines)


def _bytes_text(parts: dict[str, Any]) -> str:
    weights = [f"weights {kind} {count:,}" for kind, count in parts["weights"].items()]
    weights[-1:] = [
        f"{last} (zeros among the weights: {parts['zeros']:,})" for last in weights[-1:]
    ]
    rest = [f"{name} {parts[name]:,}" for name in ("scales", "constants", "metadata", "graph")]
    return f"bytes: {', '.join([*weights, *rest])}"


def _metadata_lines(metadata: dict[str, Any]) -> list[str]:
    family = metadata["family"]["name"]
    lines = [
        f"made_tf {metadata['version']}: {family} conditionals, weights {metadata['weights']}, "
        f"orders averaged: {metadata['num_orders']}"
    ]
    if metadata.get("members"):
        lines.append(f"an ensemble of {metadata['members']} members")
    if metadata["image_shape"]:
        lines.append(f"a row is a picture of {'x'.join(map(str, metadata['image_shape']))}")
    for variable in metadata["variables"] or []:
        classes = ": " + ", ".join(variable["categories"]) if "categories" in variable else ""
        lines.append(f"variable {variable['name']}{classes}")
    if metadata.get("context"):
        names = metadata["context"]["names"]
        named = f": {', '.join(names)}" if names else ""
        lines.append(f"context: {_shape_text(metadata['context']['shape'])} numbers{named}")
    from made_tf.export.file.card import card_lines

    return [*lines, *card_lines(metadata)]


def _tensors_text(tensors: dict[str, dict[str, Any]]) -> str:
    def shape(sizes: Sequence[int]) -> str:
        return ", ".join("n" if size == -1 else str(size) for size in sizes)

    return ", ".join(
        f"{name} {tensor['dtype']} [{shape(tensor['shape'])}]" for name, tensor in tensors.items()
    )
