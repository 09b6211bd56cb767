"""The server of the page, and how it comes by LiteRT.js."""

import http.client
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading

import pytest
import reference
from processes import started

from made_tf.export.web import litert_js, serve

WEB = pathlib.Path(serve.__file__).parent
MODEL = reference.GOLDEN / "tflite" / "0.1.0-bits.tflite"
FAKE = {"index.js": b"// litert", "litert_wasm_internal.wasm": b"\0asm"}


@pytest.fixture
def address():
    server = serve.make_server(MODEL, FAKE)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address
    server.shutdown()
    server.server_close()


def request(address, path, method="GET", host=None):
    connection = http.client.HTTPConnection(*address, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{address[1]}")
    connection.endheaders()
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


def test_the_server_gives_the_page_the_model_and_litert(address):
    for path, kind in (
        ("/", "text/html"),
        ("/index.html", "text/html"),
        ("/style.css", "text/css"),
        ("/app.js", "text/javascript"),
        ("/litert/index.js", "text/javascript"),
        ("/litert/litert_wasm_internal.wasm", "application/wasm"),
    ):
        response, content = request(address, path)
        assert response.status == 200 and content
        assert response.headers["Content-Type"] == kind
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "http" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert (response.headers["Cache-Control"] == "no-store") == ("litert" not in path)
    response, content = request(address, "/model.tflite")
    assert content == MODEL.read_bytes()
    response, content = request(address, "/model.tflite", "HEAD")
    assert response.status == 200 and content == b""
    assert request(address, "/app.js?x=1")[0].status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/../setup.py",
        "/%2e%2e/setup.py",
        "/litert/../../../etc/passwd",
        "/etc/passwd",
        "//etc/passwd",
        "/web/index.html",
        "/model.tflite/..",
        "/serve.py",
        "/litert/",
    ],
)
def test_nothing_else_is_there(address, path):
    response, content = request(address, path)
    assert response.status == 404 and content == b"There is no such file here."


def test_other_methods_and_other_hosts_are_refused(address):
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert request(address, "/model.tflite", method)[0].status == 501
    for host in ("example.com", f"example.com:{address[1]}", "127.0.0.1", "127.0.0.1:1"):
        response, content = request(address, "/model.tflite", host=host)
        assert response.status == 403 and len(content) < 100
    assert request(address, "/", host=f"localhost:{address[1]}")[0].status == 200


def test_it_listens_on_this_machine_alone(address):
    assert address[0] == "127.0.0.1"


def test_files_that_say_nothing_are_refused(tmp_path):
    (tmp_path / "x.tflite").write_bytes(b"no model")
    with pytest.raises(ValueError, match="complete LiteRT model"):
        serve.make_server(tmp_path / "x.tflite", FAKE)
    with pytest.raises(FileNotFoundError):
        serve.make_server(tmp_path / "y.tflite", FAKE)


def test_every_file_of_the_page_is_served_and_every_address_is_its_own():
    others = {".py", ".pyc", ""}
    assert {path.name for path in WEB.iterdir() if path.suffix not in others} == set(serve.PAGE)
    for name in serve.PAGE:
        text = (WEB / name).read_text(encoding="utf-8")
        assert "//" not in text.replace("// ", "").replace("*/", "")


def test_litert_is_checked_kept_and_asked_for_once(tmp_path, monkeypatch):
    (tmp_path / "registry").mkdir()
    registry = (tmp_path / "registry").as_uri() + "/{name}-{version}.tgz"
    cache = tmp_path / "cache"
    with pytest.raises(OSError, match="is not in .*cache and could not be fetched"):
        litert_js.litert_files(cache, registry)
    wrong = tmp_path / "registry" / f"core-{litert_js.LITERT_JS}.tgz"
    wrong.write_bytes(b"something else")
    with pytest.raises(ValueError, match="must have the SHA-512 PlGmbMOq9WitX7FO"):
        litert_js.litert_files(cache, registry)
    assert not cache.exists()


def test_the_command_serves_until_it_is_interrupted(litert):
    code = "from made_tf.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", str(MODEL), "--no-browser"]
    with started(command, stdout=subprocess.PIPE) as process:
        address = process.stdout.readline().split(" at ")[1].split(" ")[0]
        host, port = address.removeprefix("http://").removesuffix("/").split(":")
        response, content = request((host, int(port)), "/model.tflite")
        assert response.status == 200 and content == MODEL.read_bytes()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
        assert process.stdout.read() == "Ended.\n"


def test_clients_that_leave_or_never_ask_are_let_go_without_a_word(address, monkeypatch, capfd):
    monkeypatch.setattr(serve._Handler, "timeout", 0.2)
    silent = socket.create_connection(address)  # connects, and asks for nothing
    assert silent.recv(1) == b""  # the server hung up
    silent.close()
    for _ in range(5):  # asks for the model, and resets the connection
        rude = socket.create_connection(address)
        rude.sendall(f"GET /model.tflite HTTP/1.1\r\nHost: 127.0.0.1:{address[1]}\r\n\r\n".encode())
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        rude.close()
    assert request(address, "/")[0].status == 200
    assert capfd.readouterr().err == ""
    server = serve.make_server(MODEL, FAKE)
    for error, told in ((ConnectionResetError(), ""), (KeyError("a fault"), "a fault")):
        try:
            raise error
        except (ConnectionError, KeyError):
            server.handle_error(None, ("127.0.0.1", 1))
        err = capfd.readouterr().err
        assert told in err and bool(err) == bool(told)
    server.server_close()
