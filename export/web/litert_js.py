"""LiteRT.js for the page: fetched once from the npm registry, checked, kept."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import os
import tarfile
import urllib.request
from pathlib import Path

from made_tf.portable.files import replacing

__all__ = ["LITERT_JS", "default_cache", "litert_files"]

LITERT_JS = "2.5.3"
_REGISTRY = "https://registry.npmjs.org/@litertjs/{name}/-/{name}-{version}.tgz"
_SHA512 = {  # the registry's `dist.integrity`
    "core": (
        "PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ=="
    ),
    "wasm-utils": (
        "4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ=="
    ),
}
#: Of each archive: the file in it -> the name it is served under.
_FILES = {
    "core": {
        "package/dist/index.js": "index.js",
        "package/wasm/litert_wasm_internal.js": "litert_wasm_internal.js",
        "package/wasm/litert_wasm_internal.wasm": "litert_wasm_internal.wasm",
        "package/wasm/litert_wasm_compat_internal.js": "litert_wasm_compat_internal.js",
        "package/wasm/litert_wasm_compat_internal.wasm": "litert_wasm_compat_internal.wasm",
    },
    "wasm-utils": {"package/dist/index.js": "wasm-utils.js"},
}
_TIMEOUT = 60  # seconds


def default_cache() -> Path:
    """Returns where LiteRT.js is kept: `$XDG_CACHE_HOME/made_tf`, or `~/.cache/made_tf`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "made_tf"


def litert_files(cache: Path | None = None, registry: str = _REGISTRY) -> dict[str, bytes]:
    """Returns the files that the page needs, by the names they are served under.

    The archives are kept as they came, and checked each time.

    Args:
        cache: the folder where they are kept.
        registry: the address, with `{name}` and `{version}`.

    Raises:
        OSError: if they can neither be found nor fetched; the message says
            where to put them by hand.
        ValueError: if what was fetched is not what it should be.
    """
    cache = default_cache() if cache is None else cache
    served = {}
    for name, wanted in _FILES.items():
        content = _archive(name, cache, registry)
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            for inside, shown in wanted.items():
                file = archive.extractfile(inside)
                if file is None:
                    raise ValueError(f"{inside!r} must be a file in the archive of {name!r}.")
                served[shown] = file.read()
    # Browsers resolve addresses, not names of packages.
    served["index.js"] = served["index.js"].replace(b'"@litertjs/wasm-utils"', b'"./wasm-utils.js"')
    return served


def _archive(name: str, cache: Path, registry: str) -> bytes:
    path = cache / f"litertjs-{name}-{LITERT_JS}.tgz"
    if path.is_file():
        content = path.read_bytes()
        if _is_right(name, content):
            return content
    address = registry.format(name=name, version=LITERT_JS)
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT) as response:
            content = response.read()
    except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
        raise OSError(
            f"LiteRT.js {LITERT_JS} is not in {cache} and could not be fetched ({error}). "
            f"Download {address} elsewhere and put it there as {path.name}."
        ) from error
    if not _is_right(name, content):
        raise ValueError(
            f"{address} must have the SHA-512 {_SHA512[name][:16]}... (base64). "
            f"Received: {_digest(content)[:16]}..., {len(content)} bytes"
        )
    cache.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return content


def _digest(content: bytes) -> str:
    return base64.b64encode(hashlib.sha512(content).digest()).decode()


def _is_right(name: str, content: bytes) -> bool:
    return _digest(content) == _SHA512[name]
