"""Few rows of many binary columns, for `small_wide.py`: words of documents, pixels of digits.

NIPS-0-12 (400, 100 and 1,240 rows of 500 words), on which publications report, is read from
`<data_dir>/binary/nips.npz` where somebody has it. The others have its shape and are made up of
what lies beside the package or among its benchmark data.
"""

import functools
import importlib.util
import pathlib
import re
import sysconfig

import numpy as np

from made_tf.data.splits import Splits
from made_tf.reproduction.benchmark_sets import load_set, make_smoke_set

NAMES = ("words", "rare_words", "pixels", "digits")
SIZES = (400, 100, 1240)  # rows to learn from, to choose by, to test on
PACKAGES = ("numpy", "keras", "tensorflow", "tensorflow_probability")
_LEAST = 100  # different words in a document
_WORD, _QUOTED = re.compile(r"[a-z]{3,}"), re.compile(r'"""(.*?)"""', re.DOTALL)


def available(data_dir=None):
    """Returns the names of the sets that there are."""
    if data_dir is None:
        return ["words", "rare_words"]
    return [*NAMES, *(["nips"] if _nips(data_dir).is_file() else [])]


def load(name, seed, data_dir=None):
    """Returns the `Splits` of a set; the seed says which rows learn, choose and test.

    | set | a column is |
    |---|---|
    | words | whether a document has a word: the 500 most common of those in at most half of them |
    | rare_words | the same, the 900 most common of those in at most a tenth |
    | pixels | one of 500 pixels, chosen by the seed, of binarized_mnist |
    | digits | one of its 784 pixels |
    | nips | as published, whatever the seed |

    Words come by the alphabet, so that their order tells nothing. A document is what stands
    between triple quotes in a module of the standard library or of a package that made_tf needs.
    """
    if name == "smoke":
        return make_smoke_set(seed)
    if name == "nips":
        with np.load(_nips(data_dir)) as arrays:
            parts = [arrays[part].astype(np.float32) for part in ("train", "valid", "test")]
        return _named(parts)
    rng = np.random.default_rng(seed)
    if name in ("words", "rare_words"):
        rows = _rows_of_words(*((500, 0.5) if name == "words" else (900, 0.1)))
        return _named(np.split(rng.permutation(rows)[: sum(SIZES)], np.cumsum(SIZES)[:2]))
    mnist = load_set("binarized_mnist", data_dir)
    columns = rng.permutation(784)[:500] if name == "pixels" else np.arange(784)
    parts = mnist.train, mnist.valid, mnist.test
    chosen = [part[rng.permutation(len(part))[:n]] for part, n in zip(parts, SIZES, strict=True)]
    return _named([part[:, np.sort(columns)] for part in chosen])


def _nips(data_dir):
    return pathlib.Path(data_dir) / "binary" / "nips.npz"


def _named(parts):
    return Splits(*parts, [f"x{index}" for index in range(parts[0].shape[1])])


def _rows_of_words(num_words, most):
    documents = _documents()
    words = sorted(set().union(*documents))
    index = {word: place for place, word in enumerate(words)}
    counts = np.zeros(len(words), int)
    for document in documents:
        counts[[index[word] for word in document]] += 1
    counts[counts > most * len(documents)] = 0
    chosen = [words[place] for place in np.sort(np.argsort(-counts, kind="stable")[:num_words])]
    return np.array([[word in document for word in chosen] for document in documents], np.float32)


@functools.cache
def _documents():
    """Returns the words of each document, each document once."""
    roots = [pathlib.Path(sysconfig.get_paths()["stdlib"])]
    roots += [pathlib.Path(importlib.util.find_spec(name).origin).parent for name in PACKAGES]
    documents = {}  # a set would have another order each time
    for root in roots:
        for path in sorted(root.rglob("*.py")):
            if {"site-packages", "dist-packages"}.isdisjoint(path.relative_to(root).parts):
                text = " ".join(_QUOTED.findall(path.read_text("utf-8", errors="ignore")))
                words = frozenset(_WORD.findall(text.lower()))
                if len(words) >= _LEAST:
                    documents[words] = None
    return list(documents)
