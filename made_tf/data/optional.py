"""Libraries that only some formats need, and that may be missing."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["optional_module"]


def optional_module(module: str, package: str, extra: str) -> Any:
    """Imports a module of a library that the package does not depend on.

    Args:
        module: the module.
        package: what the library is called.
        extra: the extra of `made-tf` that brings it.

    Raises:
        ModuleNotFoundError: if it is not installed, saying how to.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{package} is not installed: pip install 'made-tf[{extra}]'"
        ) from error
