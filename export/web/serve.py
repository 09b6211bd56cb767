"""Serves the page for one model on this machine, and nothing else."""

from __future__ import annotations

import http.server
import mimetypes
import sys
import urllib.parse
from importlib import resources
from pathlib import Path
from typing import Any

from made_tf.export.runtime import read_metadata

__all__ = ["PAGE", "make_server"]

#: The page's own files.
PAGE = (
    "index.html",
    "style.css",
    "app.js",
    "card.js",
    "console.js",
    "contexts.js",
    "form.js",
    "metadata.js",
    "model.js",
    "pictures.js",
    "schema.js",
)
_TYPES = {
    ".wasm": "application/wasm",
    ".js": "text/javascript",
    ".tflite": "application/octet-stream",
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
        "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_SECONDS = 30  # that a client may take for a line of a request, or a piece of an answer
_PIECE = 2**16  # bytes
_KEPT = "max-age=86400"  # LiteRT.js: the browser keeps what it compiled of it, too


def make_server(
    model: Path, litert: dict[str, bytes], port: int = 0
) -> http.server.ThreadingHTTPServer:
    """Returns a server on 127.0.0.1 that is ready for `serve_forever`.

    What it serves is a table from paths to bytes, read beforehand: no request
    reaches the file system. Requests under another host's name are refused, so
    that no page elsewhere can read the model by pointing a name of its own here.

    Args:
        model: a `.tflite` file that made_tf exported.
        litert: the files of LiteRT.js (`litert_files`).
        port: 0 for any that is free.

    Raises:
        FileNotFoundError: if there is no such model.
        ValueError: if it is not readable, or made_tf did not export it.
        OSError: if the port is taken.
    """
    if read_metadata(model) is None:
        raise ValueError(
            f"`model` must be a .tflite file that says what it is: export it again with this "
            f"version. Received: model={str(model)!r}"
        )
    page = resources.files("made_tf.export.web")
    served = {f"/{name}": (page / name).read_bytes() for name in PAGE}
    served["/"] = served["/index.html"]
    served |= {f"/litert/{name}": content for name, content in litert.items()}
    served["/model.tflite"] = model.read_bytes()
    return _Server(("127.0.0.1", port), served, model.name)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], served: dict[str, bytes], model_name: str):
        self.served = served
        self.model_name = model_name
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of clients that leave early or ask for nothing; tells all else."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    @property
    def hosts(self) -> set[str]:
        return {f"{name}:{self.server_address[1]}" for name in ("127.0.0.1", "localhost")}


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "made-tf"
    sys_version = ""
    timeout = _SECONDS

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        status, content = 200, self.server.served.get(path)
        if self.headers.get("Host") not in self.server.hosts:
            status, content = 403, b"Open the page as 127.0.0.1 or localhost."
        elif content is None:
            status, content = 404, b"There is no such file here."
        suffix = Path(path).suffix if status == 200 and path != "/" else ".html"
        kind = _TYPES.get(suffix) or mimetypes.types_map.get(suffix, "text/plain")
        self.send_response(status)
        self.send_header("Content-Type", kind if status == 200 else "text/plain")
        self.send_header("Content-Length", str(len(content)))
        kept = status == 200 and path.startswith("/litert/")
        self.send_header("Cache-Control", _KEPT if kept else "no-store")
        if status == 200 and path == "/model.tflite":  # by which name the page shows it
            name = urllib.parse.quote(self.server.model_name, safe="")
            self.send_header("Content-Disposition", f"inline; filename*=UTF-8''{name}")
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            for start in range(0, len(content), _PIECE):  # the time limit is that of a piece
                self.wfile.write(content[start : start + _PIECE])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""
