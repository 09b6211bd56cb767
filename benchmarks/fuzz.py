"""What damaged, forged and odd files do to the commands: a seeded pass over mutants of them.

    python benchmarks/fuzz.py --mutants 300 --seed 1 [--kinds tflite,csv] [--keep FOLDER]

Makes mutants of models (`.keras`, `.tflite`), of tables (`.npz`, `.csv`, `.parquet`), of recipes,
of schemas and of records, gives each to the commands that read it, in a child process with limits
of memory and time, and counts what came of it:

    equal      the same answer as of the file as it was
    refused    one line that says what is wrong (exit code 2)
    other      another answer, where a changed file may have one: of other cells, of a config or
               weights that were sealed anew
    unclear    exit code 1: an error that nobody foresaw
    crash      the process ended;  slow: it took longer than the limit;  memory: more than the limit

It ends with exit code 1 if anything was unclear, slow, took the memory, or crashed, but for one
kind: of a `.tflite` whose body was changed *and sealed anew* LiteRT itself may crash. The digest in
these files tells of damage, not of malice: open none from people you do not trust.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import pathlib
import queue
import resource
import subprocess
import sys
import tempfile
import threading
import tomllib

import mutants
import numpy as np

SECONDS = 30  # for one mutant
START_SECONDS = 120  # for a child's imports
MEMORY = 2 * 2**30  # bytes beyond what a child has once it has started
FAULTS = ("unclear", "crash", "slow", "memory")
COUNTS = ("equal", "refused", "other", *FAULTS)


def sealed(content: bytes) -> bytes:
    """A `.tflite` with its digest made anew."""
    from made_tf.export.file.metadata import seal

    return seal(content) if b'"sha256":"' in content else content


def metadata_mutant(content: bytes, rng: np.random.Generator) -> bytes:
    """Changes an entry of a `.tflite`'s metadata, and seals it."""
    from made_tf.export.file.flatbuffer import read_model, write_model

    model = read_model(content)
    (entry,) = (each for each in model.metadata if each.name == b"made_tf")
    buffer = model.buffers[entry.buffer]
    described = mutants.entry_mutant(json.loads(bytes(buffer.data)), rng)
    buffer.data = np.frombuffer(
        json.dumps(described, separators=(",", ":")).encode(), dtype=np.uint8
    )
    return sealed(write_model(model))


def toml_mutant(content: bytes, rng: np.random.Generator) -> bytes:
    """Changes an entry of a TOML file, or its bytes."""
    if rng.integers(3) == 0:
        return mutants.bytes_mutant(content, rng)
    changed = mutants.entry_mutant(tomllib.loads(content.decode()), rng)
    return "\n".join(_toml(changed)).encode("utf-8", "replace")


def _toml(content, path=()):
    tables = {k: v for k, v in content.items() if isinstance(v, dict)} if content else {}
    for key, value in (content or {}).items():
        if key not in tables and value is not None:
            text = json.dumps(value) if value == value and abs(_size(value)) < 1e308 else "nan"
            yield f"{json.dumps(key)} = {text}"
    for key, value in tables.items():
        yield "[" + ".".join(json.dumps(part) for part in (*path, key)) + "]"
        yield from _toml(value, (*path, key))


def _size(value):
    return value if isinstance(value, float) else 0


def record_mutant(content: bytes, rng: np.random.Generator) -> bytes:
    return json.dumps(mutants.entry_mutant(json.loads(content), rng)).encode()


#: Of each kind: the file that is changed, how, and the commands that read it.
KINDS = {
    "keras": ("m.keras", mutants.bytes_mutant, ["evaluate {} rows.npz --json"]),
    "keras config": ("m.keras", mutants.config_mutant, ["evaluate {} rows.npz --json"]),
    "keras parts": ("m.keras", mutants.archive_mutant, ["evaluate {} rows.npz --json"]),
    "tflite": ("m.tflite", mutants.bytes_mutant, ["evaluate {} rows.npz --json"]),
    "tflite metadata": (
        "t.tflite",
        metadata_mutant,
        ["sample {} -n 3 -o -", "evaluate {} t.csv --json", "inspect {}"],
    ),
    "tflite body": (
        "m.tflite",
        lambda content, rng: sealed(mutants.bytes_mutant(content, rng)),
        ["evaluate {} rows.npz --json"],
    ),
    "npz": ("rows.npz", mutants.array_mutant, ["evaluate m.tflite {} --json"]),
    "npz bytes": ("rows.npz", mutants.bytes_mutant, ["evaluate m.tflite {} --json"]),
    "csv": ("rows.csv", mutants.text_mutant, ["evaluate m.tflite {} --json"]),
    "csv table": ("t.csv", mutants.text_mutant, ["evaluate t.tflite {} --json", "schema {}"]),
    "parquet": ("t.parquet", mutants.bytes_mutant, ["evaluate t.tflite {} --json", "schema {}"]),
    "schema": ("t.toml", toml_mutant, ["read schema {}"]),
    "recipe": ("r.toml", toml_mutant, ["read recipe {}"]),
    "record": ("r.json", record_mutant, ["read records {}"]),
}
MAY_CRASH = ("tflite body",)
SMOKE = ("keras config", "tflite metadata", "csv table", "schema")


def run(command: str) -> tuple[int, str]:
    """Runs a command; returns its exit code and what it printed."""
    words = command.split()
    if words[0] == "read":
        return _read(*words[1:])
    from click.testing import CliRunner

    from made_tf.cli import main

    result = CliRunner().invoke(main, words)
    return result.exit_code, result.output


def _read(what: str, path: str) -> tuple[int, str]:
    """Reads what no quick command reads, as the commands do."""
    try:
        if what == "recipe":
            from made_tf.training.recipe import Recipe

            recipe = Recipe.load(path)
            return 0, repr(recipe.candidates_for(1000, 20, True))
        if what == "schema":
            from made_tf.data.table_files import read_table
            from made_tf.data.table_schema import TableSchema

            return 0, str(TableSchema.infer(read_table("t.csv"), path))
        from made_tf.reproduction.records import read_records
        from made_tf.reproduction.tables import markdown_table

        return 0, markdown_table(read_records(pathlib.Path(path).parent))
    except (ValueError, OSError) as error:
        return 2, str(error)
    except Exception as error:  # noqa: BLE001 - what nobody foresaw is what is counted
        return 1, repr(error)


def outcome(command: str, before: str) -> tuple[str, str]:
    """Runs a command on a mutant; returns what came of it, and the last line."""
    try:
        code, text = run(command)
    except MemoryError as error:
        return "memory", repr(error)
    line = (text.strip().splitlines() or [""])[-1][:300]
    if code == 0:
        return ("equal" if before in ("", text) else "other"), ""
    if "Unable to allocate" in text or "MemoryError" in text or "bad_alloc" in text:
        return "memory", line
    if code != 2 or len(text) > 3000 or not line:
        return "unclear", line or f"exit code {code}"
    return "refused", line


def child(kind: str, seed: int, first: int, count: int, keep: str) -> None:
    """Goes through mutants of one kind; a line of JSON for each, in the folder it runs in."""
    source, mutate, commands = KINDS[kind]
    content = pathlib.Path(source).read_bytes()
    before = []
    for command in commands:
        code, text = run(command.format(_place(source, "mutant", content)))
        if code != 0:
            raise RuntimeError(f"{command!r} fails on the file as it was: {text}")
        before.append("" if command.startswith("inspect") else text)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    print(json.dumps("ready"), flush=True)
    for number in range(first, count):
        rng = np.random.default_rng([seed, number, *kind.encode()])
        changed = mutate(content, rng)
        path = _place(source, "mutant", changed)
        if keep:
            pathlib.Path(keep, f"{kind}-{number}{pathlib.Path(source).suffix}").write_bytes(changed)
        found = [outcome(c.format(path), b) for c, b in zip(commands, before, strict=True)]
        print(json.dumps(max(found, key=lambda each: COUNTS.index(each[0]))), flush=True)


def _place(source: str, folder: str, content: bytes) -> str:
    """Writes a file under its own name, in a folder where it is alone."""
    pathlib.Path(folder).mkdir(exist_ok=True)
    path = pathlib.Path(folder, "x" + pathlib.Path(source).suffix)
    path.write_bytes(content)
    return str(path)


class Child:
    """A process that answers line by line, or not."""

    def __init__(self, arguments: list[str], folder: str):
        command = [sys.executable, os.path.abspath(__file__), "--child", *arguments]
        with open(os.path.join(folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self.process.stdout or ():
            self.lines.put(line)
        self.lines.put("")

    def answer(self, seconds: float):
        """Returns the next line; `("crash" or "slow", why)` if there is none."""
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            self.process.kill()
            self.process.wait()
            return "slow", f"no answer in {seconds} s"
        if line:
            return json.loads(line)
        return "crash", f"the process ended with {self.process.wait()}"

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def fuzz(kind: str, seed: int, count: int, folder: str, keep: str) -> tuple[dict[str, int], list]:
    """Returns how many mutants of a kind came to what, and the faults."""
    counts: dict[str, int] = collections.Counter()
    faults, number = [], 0
    while number < count:
        worker = Child([kind, str(seed), str(number), str(count), keep], folder)
        if worker.answer(START_SECONDS) != "ready":
            worker.end()
            log = pathlib.Path(folder, "log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"A child for {kind!r} did not start:\n{log}")
        while number < count:
            what, line = worker.answer(SECONDS)
            counts[what] += 1
            if what in FAULTS:
                faults.append((number, what, line))
            number += 1
            if what in ("crash", "slow"):
                break
        worker.end()
    return counts, faults


def prepare(folder: pathlib.Path) -> None:
    """Makes the files that mutants are made of."""
    import pandas as pd

    import made_tf
    from made_tf import export
    from made_tf.data.table_files import read_table
    from made_tf.data.table_schema import TableSchema
    from made_tf.tables.families import families_of
    from made_tf.training.recipe import Recipe

    rng = np.random.default_rng(0)
    rows = rng.integers(0, 2, (60, 6)).astype(np.uint8)
    np.savez(folder / "rows.npz", test=rows, train=rows[:20])
    np.savetxt(folder / "rows.csv", rows, "%d", ",", header="a,b,c,d,e,f", comments="")
    model = made_tf.MADE(6, (12,), seed=0)
    model.save(folder / "m.keras")
    export.to_tflite(model, folder / "m.tflite", signatures="log_prob")
    frame = pd.DataFrame(
        {
            "size": rng.choice(["S", "M", "L"], 60),
            "price": np.round(rng.gamma(2, 5, 60), 1),
            "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 99, 60), "D"),
            "left": rng.random(60) < 0.5,
        }
    )
    frame.to_csv(folder / "t.csv", index=False)
    frame = read_table(folder / "t.csv")
    frame.to_parquet(folder / "t.parquet")
    schema = TableSchema.infer(frame)
    schema.to_toml(folder / "t.toml")
    x = schema.encode_frame(frame).x
    table = made_tf.MADE(x.shape[1], (12,), conditionals=families_of(schema, x), seed=0)
    path = folder / "t.tflite"
    export.to_tflite(table, path, signatures=["sample", "log_prob"], schema=schema.to_dict())
    (folder / "r.toml").write_text(Recipe.load("default").to_toml())
    record = sorted((pathlib.Path(__file__).parent / "records").glob("*.json"))[0]
    (folder / "r.json").write_bytes(record.read_bytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutants", type=int, default=200, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default=",".join(KINDS), help="NAME,NAME,...")
    parser.add_argument("--keep", default="", help="folder that gets all mutants")
    parser.add_argument("--smoke", action="store_true", help="a few mutants of some kinds")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        kind, seed, first, count, keep = arguments.child
        child(kind, int(seed), int(first), int(count), keep)
        return
    kinds = arguments.kinds.split(",")
    unknown = set(kinds) - set(KINDS)
    if unknown:
        parser.error(f"--kinds must be among {', '.join(KINDS)}")
    if arguments.keep:
        os.makedirs(arguments.keep, exist_ok=True)
    count = arguments.mutants
    if arguments.smoke:
        kinds, count = list(SMOKE), 8
    failed = False
    with tempfile.TemporaryDirectory() as name:
        prepare(pathlib.Path(name))
        print(f"{'kind':16}" + "".join(f"{each:>9}" for each in COUNTS), flush=True)
        for kind in kinds:
            keep = os.path.abspath(arguments.keep) if arguments.keep else ""
            counts, faults = fuzz(kind, arguments.seed, count, name, keep)
            print(f"{kind:16}" + "".join(f"{counts[each]:9}" for each in COUNTS), flush=True)
            for number, what, line in faults:
                print(f"    mutant {number}: {what}: {line}", flush=True)
            failed |= bool(faults) and kind not in MAY_CRASH
    print(f"seed {arguments.seed}: with it the same mutants come again, and --keep writes them")
    sys.exit(failed)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
