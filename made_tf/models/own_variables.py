"""What a `MADE` has in its files beside the weights of its layers: which density they are of."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["load_own", "save_own"]


def save_own(model: Any, store: Any) -> None:
    """Writes the digest of a model's settings, and how many masks it has had."""
    store["density"] = model.settings.fingerprint()
    if model.mask_step is not None:
        store["mask_step"] = model.mask_step


def load_own(model: Any, store: Any) -> None:
    """Compares the digest, and lets masks go on where they were.

    Raises:
        ValueError: if the weights are of another density.
    """
    if not np.array_equal(np.asarray(store["density"]), model.settings.fingerprint()):
        raise ValueError(
            "The weights were saved with other conditionals, mask weights, activation, direct or "
            "residual connections, context or evidence than this model's: another density. "
            f"Expected: {model.settings.density()}"
        )
    many = model.mask_step is not None
    if many != ("mask_step" in set(store.keys())):
        raise ValueError(
            f"The weights were saved by a model of {'one mask' if many else 'many masks'}, and "
            f"this one has num_masks={model.mask_sets.num_masks}."
        )
    if many:
        model.mask_step.assign(store["mask_step"])
