"""Saved models open after `import made_tf` alone.

Keras finds a saved class by its registered name and imports nothing that a file names: anyone may
have written the file. `import made_tf` imports neither Keras nor the classes, so their names are
registered when Keras is imported, each with a stand-in that imports its class when Keras opens one.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

__all__ = ["CLASSES", "install"]

#: Module within `made_tf` -> the classes of it that Keras saves, by their registered names.
CLASSES = {
    "conditionals": (
        "Bernoulli Binned Categorical Count Discretized Embedded Inflated LogisticMixture Mixed "
        "Normal NormalMixture Ordinal"
    ),
    "models": "Ensemble MADE",
    "networks": "MaskConstraint MaskedDense MaskedInitializer",
    "networks.shared_dense": "SharedDense",
    "tables.network": "TableNetwork",
}


class _StandIn:
    """What Keras finds in place of a class that has not been imported; has what the class has."""

    def __init__(self, home: str, name: str) -> None:
        self._home = home
        self._name = name

    def _class(self) -> Any:
        return getattr(importlib.import_module(f"made_tf.{self._home}"), self._name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._class(), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._class()(*args, **kwargs)


def _register(keras: ModuleType) -> None:
    known = keras.saving.get_custom_objects()
    for home, names in CLASSES.items():
        for name in names.split():
            known.setdefault(f"made_tf>{name}", _StandIn(home, name))


class _Finder:
    """Waits for the import of Keras; for the front of `sys.meta_path`."""

    @staticmethod
    def find_spec(fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Returns Keras' own spec, to be loaded by `_Loader`; `None` for any other module."""
        if fullname != "keras":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
        return spec


class _Loader:
    """Loads Keras as its own loader does, then registers the names."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Returns what Keras' loader returns."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Runs Keras, which sees its own loader; a failed import may be tried again."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        if _Finder in sys.meta_path:
            sys.meta_path.remove(_Finder)
        _register(module)


def install() -> None:
    """Registers the names now if Keras has been imported, else when it is."""
    if "keras" in sys.modules:
        _register(sys.modules["keras"])
    elif _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
