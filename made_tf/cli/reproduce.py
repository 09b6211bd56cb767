"""`made-tf reproduce`: the published sets, trained and tested anew."""

from __future__ import annotations

import os
from pathlib import Path

import click

from made_tf.cli.running import quiet

__all__ = ["reproduce"]


@click.command()
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--all", "every", is_flag=True, help="All sets.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="MADE_TF_DATA",
    show_envvar=True,
    help="Folder with binary/NAME.npz. What is not there is fetched.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("made-reproduce"),
    show_default=True,
    help="Folder for models, records, table and plot.",
)
@click.option(
    "--recipe",
    metavar="NAME|FILE",
    help="A recipe to use for all sets, such as 'default'.  [default: that of the set's own]",
)
@click.option("--seed", type=click.IntRange(0, 10**6), default=0, show_default=True)
@click.option(
    "--seeds", type=click.IntRange(1), default=1, show_default=True, help="How many, from --seed."
)
@click.option("--smoke", is_flag=True, help="A short run on made-up rows: is all in place?")
@click.option("--list", "listing", is_flag=True, help="List sets, recipes and figures; then end.")
def reproduce(
    names: tuple[str, ...],
    every: bool,
    data_dir: Path | None,
    output: Path,
    recipe: str | None,
    seed: int,
    seeds: int,
    smoke: bool,
    listing: bool,
) -> None:
    """Train on published sets, and put the test NLL beside what was published.

    Each set has a recipe of its own. What it leaves open is chosen on
    validation rows; test rows are scored once, at the end. A run that was cut
    off goes on where it was when the same command is given again, and what is
    finished is not done again.

    KERAS_BACKEND=jax, where JAX is installed, trains about twice as fast or more.
    """
    with quiet():
        from made_tf.reproduction import benchmark_sets
        from made_tf.reproduction.reproduce import reproduce_set
        from made_tf.training import recipe as recipes
    known = benchmark_sets.set_names()
    if listing:
        for name in known:
            entry = benchmark_sets.BenchmarkSet.named(name)
            click.echo(f"{name:16s} {entry.published:6.2f}  {entry.published_by}")
        click.echo(f"recipes: {', '.join(recipes.recipe_names())}")
        return
    if smoke:
        if names or every:
            raise click.UsageError("--smoke has rows of its own: give no NAME and not --all.")
        names = ("smoke",)
    elif every == bool(names):
        raise click.UsageError("give NAMEs of sets, or --all, or --smoke.")
    elif data_dir is None:
        raise click.UsageError("--data-dir (or the variable MADE_TF_DATA) is needed.")
    names = tuple(known) if every else tuple(dict.fromkeys(names))
    for name in names if not smoke else ():
        if name not in known:  # all names are good before anything is trained
            raise click.UsageError(f"NAME must be one of {', '.join(known)}. Received: {name}")
    chosen = {name: recipes.Recipe.load(recipe or name) for name in names}
    output.mkdir(parents=True, exist_ok=True)
    if not os.access(output, os.W_OK):
        raise click.UsageError(f"--output {output} is not writable.")
    for name in names:
        splits = (
            benchmark_sets.make_smoke_set()
            if smoke or data_dir is None
            else benchmark_sets.load_set(name, data_dir)
        )
        for number in range(seed, seed + seeds):
            reproduce_set(name, chosen[name], splits, output, number, smoke, click.echo)
    click.echo((output / "table.md").read_text(encoding="utf-8"))
