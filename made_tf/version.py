"""The version, alone: the runtime's own distribution reads it, too."""

__version__ = "0.1.0"
