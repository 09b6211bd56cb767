"""The device side: an exported file in NumPy and LiteRT alone.

The folder is also a distribution of its own, `made_tf_runtime`, which installs
without TensorFlow.
"""

from .files import METADATA_FORMAT, open_interpreter, read_metadata
from .sampler import LiteSampler
from .table import LiteTable

__all__ = ["METADATA_FORMAT", "LiteSampler", "LiteTable", "open_interpreter", "read_metadata"]
