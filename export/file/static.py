"""Static int8: products of integers, for scoring on hardware that has no others.

The scale of a layer's inputs comes from calibration rows, once, and is a
constant of the file: no row decides how another number of itself is rounded, so
that the density stays autoregressive. What follows the last product is float32:
the density stays normalised.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["STATIC", "quantize_static"]

STATIC = "static_int8"

_BATCH = 64


def quantize_static(
    content: bytes, signatures: Sequence[str], calibration: npt.NDArray[np.float32]
) -> bytes:
    """Quantizes the products of a converted file.

    Args:
        content: a `.tflite` file as the converter made it, with float32 weights.
        signatures: which of its signatures, each with the input `x`.
        calibration: rows `[N, D]`; the range of each layer is what they reach.

    Raises:
        ImportError: without `ai-edge-quantizer`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from ai_edge_quantizer import qtyping, quantizer, recipe_manager
    except ImportError as error:
        raise ImportError(
            "weights='static_int8' needs ai-edge-quantizer: pip install 'made-tf[quantize]'"
        ) from error
    recipe = recipe_manager.RecipeManager()
    recipe.add_static_config(
        regex=".*",
        operation_name=qtyping.TFLOperationName.FULLY_CONNECTED,
        activation_num_bits=8,
        weight_num_bits=8,
    )
    batches = [
        {"x": calibration[start : start + _BATCH]} for start in range(0, len(calibration), _BATCH)
    ]
    with tempfile.TemporaryDirectory() as folder, _silent():
        path = Path(folder) / "float.tflite"
        path.write_bytes(content)
        tool = quantizer.Quantizer(str(path))
        tool.load_quantization_recipe(recipe.get_quantization_recipe())
        ranges = tool.calibrate(dict.fromkeys(signatures, batches))
        return bytes(tool.quantize(ranges).quantized_model)


@contextlib.contextmanager
def _silent():
    """Keeps off the screen what the quantizer prints and logs."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)
