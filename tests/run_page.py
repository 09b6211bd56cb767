"""Runs the Python of pages as printed, in order: `python tests/run_page.py README.md ...`.

Each page starts with a fresh namespace, in the current folder; what it includes of a page that has
run before is not run again, but has left its names. Shrunk are Keras' `fit`, to one epoch, and the
networks of a `TableModel`, to those of `example_tables`; graphs are run as they were traced, and
files are timed by three runs. Nothing else is changed, and each statement is executed. Prints the
seconds that went by; an error's traceback names page and line.
"""

import functools
import pathlib
import re
import sys
import time
import warnings

_FENCE = re.compile(r"^([ ]*)```(\{?[\w-]*\}?)[^\n]*\n(.*?)^\1```[ ]*$", re.M | re.S)


def blocks(path):
    """Yields `(file, line, language, code)` of each fenced block, in included text, too."""
    yield from _blocks(path, path.read_text(encoding="utf-8"), 0)


def _blocks(path, text, start):
    for match in _FENCE.finditer(text):
        indent, language, content = match.groups()
        line = start + text[: match.start()].count("\n") + 1
        if language == "{include}":
            yield from _included(path, text[match.start() : match.end()], content)
        else:
            lines = [each.removeprefix(indent) for each in content.splitlines()]
            yield path, line, language, "\n".join(lines) + "\n"


def _included(page, fence, content):
    name = re.match(r"\s*```\{include\} (\S+)", fence).group(1)
    options = dict(re.findall(r'^:([\w-]+): "(.*)"$', content, re.M))
    path = page.parent / name
    text = path.read_text(encoding="utf-8")
    begin = text.index(options["start-after"]) if "start-after" in options else 0
    end = text.index(options["end-before"], begin) if "end-before" in options else len(text)
    yield from _blocks(path, text[begin:end], text[:begin].count("\n"))


def python_blocks(path):
    """Yields `(file, line, code)` of what a page shows as Python."""
    for file, line, language, code in blocks(path):
        if language == "python":
            yield file, line, code


def shrink():
    """Makes training short."""
    import example_tables
    import keras
    import tensorflow as tf

    import made_tf
    from made_tf.export.checks import measure

    measure._SECONDS = 0.0
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    fit, fit_table = keras.Model.fit, made_tf.TableModel.fit

    @functools.wraps(fit)
    def short_fit(self, *args, **kwargs):
        return fit(self, *args, **{**kwargs, "epochs": 1, "verbose": 0})

    @functools.wraps(fit_table)
    def short_fit_table(self, *args, **kwargs):
        self.recipe = example_tables.JOINT
        self.questions = self.questions and example_tables.QUESTIONS
        return fit_table(self, *args, **kwargs)

    keras.Model.fit, made_tf.TableModel.fit = short_fit, short_fit_table


def run(path, done):
    """Runs one page.

    Args:
        path: the page.
        done: pages that have run, with the names that they left: what is included of them is not
            run again, but its names are there.
    """
    names = {"__name__": "__main__"}
    for file, line, code in python_blocks(path):
        if file.resolve() != path.resolve() and file.resolve() in done:
            names.update(done[file.resolve()])
            continue
        # As many empty lines before the code as the page has: tracebacks point into the page.
        exec(compile("\n" * line + code, str(file), "exec"), names)
    done[path.resolve()] = names


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    started = time.perf_counter()
    shrink()
    done = {}
    for name in sys.argv[1:]:
        run(pathlib.Path(name), done)
        print(f"{name}: {time.perf_counter() - started:.1f} s since the start", flush=True)
