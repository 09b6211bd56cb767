"""The version, alone: the runtime's own distribution reads it, too."""

__all__ = ["__version__"]


__version__ = "0.1.0"
