"""Where the packages lie; everything else is in pyproject.toml."""

from setuptools import find_packages, setup


def _packages(name: str, folder: str) -> list[str]:
    return [name, *(f"{name}.{inner}" for inner in find_packages(folder))]


# `export/` lies at the top of the repository and imports as `made_tf.export`. The link
# made_tf/export -> ../export lets type checkers and a plain checkout see the same.
setup(
    packages=sorted({*_packages("made_tf", "made_tf"), *_packages("made_tf.export", "export")}),
    package_dir={"made_tf": "made_tf", "made_tf.export": "export"},
)
