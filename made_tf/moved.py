"""Modules that have moved: imports of their old names still work, with a warning, for this version.

One table and one finder, which Python asks where it finds nothing itself. A name of an old module
is looked up in its new homes, in turn.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["MOVED", "install"]

#: Old module -> the modules that have what it had; names within `made_tf`.
MOVED = {
    "arguments": "portable.arguments portable.seeds",
    "arrangement": "sampling.arrangement",
    "averaging": "training.averaging",
    "callbacks": "training.callbacks training.shuffled_rows training.fitting",
    "conditioned": "distributions.conditional",
    "constraints": "networks.masking networks.kernel_mask",
    "demo": "reproduction.demo",
    "ensemble_distributions": "distributions.ensemble",
    "ensembles": "models.ensemble",
    "export.compact": "export.file.compact",
    "export.compare": "export.checks.compare export.checks.host",
    "export.flatbuffer": "export.file.flatbuffer",
    "export.inspection": "export.file.inspection",
    "export.litert_js": "export.web.litert_js",
    "export.measure": "export.checks.measure",
    "export.metadata": "export.file.metadata",
    "export.report": "export.checks.report",
    "export.serve": "export.web.serve",
    "export.static": "export.file.static",
    "export.tflm": "export.micro.tflm",
    "export.verify": "export.checks.verify",
    "export.weights": "export.file.weights",
    "files": "portable.files",
    "given": "sampling.known",
    "initializers": "networks.masking",
    "layers": "networks.masked_dense portable.digests networks.activations",
    "many_patterns": "queries.many_patterns",
    "mixtures": "sampling.order_mixture",
    "order_statistics": "models.order_statistics",
    "patterns": "portable.patterns",
    "plan": "sampling.plan sampling.block_length",
    "progress": "portable.progress",
    "random": "sampling.random",
    "reproduction.ensemble_training": "training.by_recipe scoring",
    "reproduction.recipe": "training.recipe training.schedule",
    "reproduction.tuning": "training.search",
    "resampling": "networks.mask_sets masks",
    "row_orders": "sampling.row_orders",
    "runs": "training.runs portable.digests",
    "seeds": "sampling.seeds",
    "shared": "networks.shared_dense",
    "staircase": "networks.staircase",
    "validation": "conditionals.row_checks",
    "version": "portable.version",
}


class _Finder:
    """Finds the old names; for `sys.meta_path`."""

    @staticmethod
    def find_spec(fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Returns how to load an old name; `None` for any other."""
        del path, target
        known = fullname.removeprefix("made_tf.") in MOVED and fullname.startswith("made_tf.")
        return ModuleSpec(fullname, _Finder) if known else None  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> ModuleType:
        """Returns a module that passes every name on to its new homes."""
        return _Moved(spec.name)

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        """Warns, once for each old name."""
        places = " and ".join(_homes(module.__name__))
        message = f"{module.__name__} has moved, and will go: import from {places}"
        warnings.warn(message, DeprecationWarning, stacklevel=2)


class _Moved(ModuleType):
    def __getattr__(self, name: str) -> Any:
        modules = [importlib.import_module(home) for home in _homes(self.__name__)]
        if name == "__all__":
            return sorted({public for module in modules for public in module.__all__})
        for module in modules:
            if name in module.__all__ or (name[:2] != "__" and hasattr(module, name)):
                return getattr(module, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


def _homes(old: str) -> list[str]:
    return [f"made_tf.{home}" for home in MOVED[old.removeprefix("made_tf.")].split()]


def install() -> None:
    """Lets Python find the old names; does nothing the second time."""
    if _Finder not in sys.meta_path:
        sys.meta_path.append(_Finder)
