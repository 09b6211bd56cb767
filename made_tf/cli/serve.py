"""`made-tf serve`: a page in which the browser draws samples."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from made_tf.cli.options import INPUT_FILE

__all__ = ["serve"]


@click.command()
@click.argument("model", type=INPUT_FILE)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="INTEGER",
    default=0,
    show_default="any that is free",
    help="Where the page is, on 127.0.0.1.",
)
@click.option("--browser/--no-browser", default=True, help="Open the page.  [default: yes]")
@click.option(
    "--cache-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where LiteRT.js is kept after it was fetched once.  [default: ~/.cache/made_tf]",
)
def serve(model: Path, port: int, browser: bool, cache_dir: Path | None) -> None:
    """Show MODEL, a .tflite file, in the browser: draw samples, complete a drawing or a row.

    The model runs in the page, with LiteRT.js, which is fetched from the npm
    registry the first time. Export with --batch-sizes 1,16, for pictures with
    --image-shape, and a table's model with --network questions --signatures impute for
    a form: any cells known, and what the model expects of the others. Only this
    machine can open the page; Ctrl+C ends it.
    """
    from made_tf.export.web.litert_js import litert_files
    from made_tf.export.web.serve import make_server

    server = make_server(model, litert_files(cache_dir), port)
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    click.echo(f"{model} at {address} (Ctrl+C ends)")
    if browser:
        webbrowser.open(address)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        click.echo("Ended.")
    finally:
        server.server_close()
