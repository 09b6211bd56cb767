"""Where the packages lie; everything else is in pyproject.toml."""

from setuptools import setup

setup(
    packages=[
        "made_tf",
        "made_tf.cli",
        "made_tf.conditionals",
        "made_tf.export",
        "made_tf.export.runtime",
        "made_tf.reproduction",
    ],
    # `export/` lies at the top of the repository and imports as `made_tf.export`. The link
    # made_tf/export -> ../export lets type checkers and a plain checkout see the same.
    package_dir={"made_tf": "made_tf", "made_tf.export": "export"},
)
