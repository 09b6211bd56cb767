"""The page for browsers, and what serves it on this machine."""
