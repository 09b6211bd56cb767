"""`TableModel`: a data frame in, and synthetic rows, filled cells, odd rows and answers out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from sklearn.base import BaseEstimator

from made_tf import scoring
from made_tf.data.frames import take_rows
from made_tf.data.table_schema import TableSchema
from made_tf.distributions.made import MADEDistribution
from made_tf.portable.arguments import integer
from made_tf.portable.arrays import FloatArray
from made_tf.portable.files import PathLike, replacing
from made_tf.portable.schema import Cells, Encoded
from made_tf.portable.schema.classes import Classes
from made_tf.tables import answers, words
from made_tf.tables.families import families_of
from made_tf.tables.network import TableNetwork
from made_tf.tables.training import split_rows, train_network
from made_tf.training.recipe import Recipe

__all__ = ["TableModel"]

_REASONS = 3  # cells that a text about a row names
_SURPRISING = 2.0  # nats, below which a cell is nothing to speak of
_JOINT_SHARE = 0.5  # of the time that there is


class TableModel(BaseEstimator):
    """The density of the rows of a table, as its owner has it.

    Columns of any kind: categories, numbers, dates, missing cells. What other columns determine
    (sums, names of codes, an end after its start) is found and holds in every row that is drawn.
    It follows scikit-learn's conventions, and frames come out as they went in: of the same library,
    with the same columns, dtypes and index.

    Args:
        overrides: what is known of columns, as `TableSchema.infer`.
        constraints: what holds in all rows, `made_tf.tables.Inequality` and `Sum`.
        find_facts: whether to look for what columns determine.
        recipe: how the density of whole rows is trained: a name, or a `.toml` file.
        questions: how the network is trained that answers what is asked of some columns given
            others (`impute`, `predict`, `anomalies`, `sample(given=)`); `None` for none.
        validation_fraction: the part of the rows that says when to stop.
        time_budget: how many seconds training may take; `None` for as long as the recipes say.
        seed: fixes everything, training included.
        verbose: 1 for a progress bar, 0 for none.

    Attributes:
        schema_: what each column was taken for.
        network_: the `TableNetwork`.
        validation_nll_: of the rows that were set aside, in nats.

    Example:
        >>> import pandas
        >>> frame = pandas.DataFrame({"size": ["S", "M", "L"] * 40, "price": [1, 2, 3] * 40})
        >>> model = TableModel(time_budget=1, questions=None).fit(frame)
        >>> model.sample(2, seed=1).columns.tolist()
        ['size', 'price']
    """

    def __init__(
        self,
        overrides=None,
        constraints=(),
        find_facts=True,
        recipe="table",
        questions="questions",
        validation_fraction=0.1,
        time_budget=None,
        seed=0,
        verbose=0,
    ):
        self.overrides = overrides
        self.constraints = constraints
        self.find_facts = find_facts
        self.recipe = recipe
        self.questions = questions
        self.validation_fraction = validation_fraction
        self.time_budget = time_budget
        self.seed = seed
        self.verbose = verbose

    # Learning, and files.

    def fit(self, X, y=None):  # noqa: N803 - as scikit-learn has it
        """Finds the schema and trains the networks.

        Args:
            X: a data frame (pandas, polars, pyarrow, ...), `[N, D]` of numbers, or a mapping.
            y: not used.

        Raises:
            ValueError: if columns cannot be modelled, or an argument is out of range.
        """
        del y
        return self.fit_in(X, None)

    def fit_in(self, frame, folder):
        """As `fit`, in a folder that keeps what a run that was cut off has done.

        Args:
            frame: as `X` of `fit`.
            folder: a path; `None` for a temporary one.
        """
        seed = integer("seed", self.seed, 0, 2**31)
        schema = TableSchema.infer(frame, self.overrides, self.constraints, self.find_facts)
        if self.verbose:
            print(schema)
        x = schema.encode_frame(frame).x
        splits = split_rows(x, self.validation_fraction, seed, schema.variables)
        family = families_of(schema, splits.train)
        budget = self.time_budget
        shares = (budget, None) if self.questions is None else self._shares(budget)
        recipes = [Recipe.load(name) for name in (self.recipe, self.questions) if name is not None]
        trained = [
            train_network(
                recipe, splits, family, seed, seconds, folder, recipe.name if self.verbose else ""
            )
            for recipe, seconds in zip(recipes, shares, strict=False)
        ]
        self.network_ = TableNetwork(schema, *(network for network, _ in trained))
        self.validation_nll_ = trained[0][1].valid_nll
        return self

    @staticmethod
    def _shares(budget):
        return (None, None) if budget is None else (budget * _JOINT_SHARE, budget * _JOINT_SHARE)

    @property
    def schema_(self) -> TableSchema:
        """What each column was taken for."""
        return self._fitted().schema

    def save(self, path: PathLike) -> None:
        """Writes the model to one `.keras` file.

        Raises:
            OSError: if it cannot be written.
        """
        with replacing(path) as temporary:
            self._fitted().save(temporary)

    @classmethod
    def load(cls, path: PathLike) -> TableModel:
        """Opens a file that `save` wrote.

        Raises:
            ValueError: if it is no table's model.
        """
        network = keras.saving.load_model(path, compile=False)
        if not isinstance(network, TableNetwork):
            raise ValueError(
                f"`path` must be a file of a TableModel. Received: {path}, of a "
                f"{type(network).__name__}"
            )
        model = cls()
        model.network_ = network
        return model

    def to_tflite(self, path: PathLike, **options: Any) -> Any:
        """Exports the density of whole rows, with the table's names and categories.

        Args:
            path: the `.tflite` file.
            **options: of `made_tf.export.to_tflite`.

        Returns:
            An `ExportReport`.

        Raises:
            made_tf.export.ExportError: if the file is found wanting.
        """
        from made_tf.export import to_tflite

        schema = self.schema_
        return to_tflite(self.network_.joint, path, schema=schema.to_dict(), **options)

    # Scores.

    def log_prob(self, X) -> FloatArray:  # noqa: N803
        """Returns the log-probability (or log-density) of each row, in nats, `[N]`.

        Columns are found by name. Of a cell that the table never had (an unknown category, a number
        off the grid) the network sees nothing, and it counts as what comes next where nothing like
        it came in n rows: 1 / (n + 1). So does a cell that contradicts what determines it.

        Raises:
            ValueError: if columns are not there, or of another sort.
        """
        return self._scores(self.schema_.encode_frame(X, "X"))

    def score_samples(self, X) -> FloatArray:  # noqa: N803
        """As `log_prob`."""
        return self.log_prob(X)

    def score(self, X, y=None) -> float:  # noqa: N803
        """Returns the mean log-probability of the rows, in nats."""
        del y
        return float(np.mean(self.log_prob(X)))

    def _scores(self, encoded: Encoded) -> FloatArray:
        x, new, broken = encoded
        odd = new.any(axis=1)
        found = np.zeros(len(x), np.float32)
        network = self._fitted()
        if (~odd).any():
            found[~odd] = scoring.log_prob(network.joint, x[~odd])
        if odd.any():
            queries = self._queries() if network.questions is not None else self._joint().queries
            found[odd] = queries.log_marginal(x[odd]).log_prob
        return found - math.log(self.schema_.num_rows + 1) * (new.sum(axis=1) + broken.sum(axis=1))

    # Rows.

    def sample(self, n: int = 1, seed: int = 0, given: Any = None) -> Any:
        """Draws rows.

        Args:
            n: how many. (With a frame for `given`: for each of its rows.)
            seed: a 32-bit integer; row i follows from the seed and i alone.
            given: a mapping of names to cells, which all rows have, or a frame with a row each.

        Returns:
            A frame of the library that the table came in.

        Raises:
            ValueError: if an argument is out of range, or `given` names no column.
        """
        n = integer("n", n)
        schema = self.schema_
        if given is None:
            x = self._joint().sample(n, seed=seed).numpy()
            return schema.frame(schema.decode(x))
        if isinstance(given, Mapping):
            given = {name: [cell] for name, cell in given.items()}
        table = self._partial(given, "given")
        count = len(next(iter(table.values())).known)
        rows = np.repeat(np.arange(count), n)
        table = {name: cells.at(rows) for name, cells in table.items()}
        return schema.frame(self._filled(table, seed))

    def impute(self, X, seed: int = 0, num_draws: int | None = None) -> Any:  # noqa: N803
        """Fills in missing cells by draws, all of a row together, given the rest of the row.

        Args:
            X: a frame; columns that are not there are filled in, too.
            seed: a 32-bit integer.
            num_draws: how many frames of draws; `None` for one frame.

        Returns:
            A frame with the index of X, or a list of `num_draws` frames.

        Raises:
            ValueError: as `log_prob`.
        """
        table = self._partial(X, "X")
        index = getattr(X, "index", None)
        frames = [
            self.schema_.frame(self._filled(table, seed + number * 1000), index)
            for number in range(integer("num_draws", num_draws or 1))
        ]
        return frames if num_draws is not None else frames[0]

    def _partial(self, frame: Any, name: str) -> dict[str, Cells]:
        """Returns the cells of a frame of which some are not known."""
        unknown = [str(each) for each in frame if str(each) not in self.schema_.names]
        if isinstance(frame, Mapping) and unknown:
            raise ValueError(
                f"`{name}` names columns that are not there: {unknown}. The table has: "
                f"{self.schema_.names}"
            )
        return self.schema_.complete(self.schema_.cells_of(frame, name, absent=True))

    def _filled(self, table: dict[str, Cells], seed: int) -> dict[str, Cells]:
        schema = self.schema_
        encoded = schema.encode(table, absent_is_unknown=True)
        if encoded.new.any():
            row, column = np.argwhere(encoded.new)[0]
            name = schema.names[column]
            raise ValueError(
                f"Column {name!r} has a cell that it never had, from which nothing follows: "
                f"{words.text_of(table[name].objects()[row])!r} in row {row}."
            )
        return answers.fill(self._queries(), schema, table, encoded.x, seed)

    # Answers.

    def predict_proba(self, X, column: str) -> Any:  # noqa: N803
        """Returns the probability of each class of a column, given the other cells of each row.

        Args:
            X: a frame; the column need not be there, and cells may be missing.
            column: a column of classes.

        Returns:
            A frame `[N, K]` with a column for each class (as text), of X's index.

        Raises:
            ValueError: if the column has no classes.
        """
        target, x = self._asked(X, column)
        names = [words.text_of(value) for value in target.values]
        probs = self._probabilities(target, x)
        cells = {name: Cells.of(probs[:, number]) for number, name in enumerate(names)}
        return _plain_frame(cells, self.schema_.library, getattr(X, "index", None))

    def predict(self, X, column: str, seed: int = 0, num_draws: int = 50) -> Any:  # noqa: N803
        """Returns the most probable class of a column, or the median of its draws, for each row.

        Args:
            X: a frame; cells may be missing.
            column: any column.
            seed: of the draws, a 32-bit integer.
            num_draws: how many draws a median takes.

        Returns:
            A frame with the column alone.
        """
        schema, index = self.schema_, getattr(X, "index", None)
        if isinstance(schema.column(column), Classes):
            target, x = self._asked(X, column)
            best = self._probabilities(target, x).argmax(axis=1)
            return schema.frame({column: target.decode(best[:, None].astype(np.float64), {})}, index)
        table = self._partial(X, "X")
        table.pop(column, None)
        drawn = [self._filled(table, seed + number)[column] for number in range(num_draws)]
        values = np.stack([cells.values for cells in drawn])
        middle = np.quantile(values, 0.5, axis=0, method="closest_observation")
        return schema.frame({column: Cells(middle, drawn[0].known)}, index)

    def _asked(self, frame: Any, column: str) -> tuple[Classes, FloatArray]:
        schema = self.schema_
        target = schema.column(column)
        if not isinstance(target, Classes):
            raise ValueError(
                f"`column` must be one of classes. {column!r} is {target.describe()}: use `predict`"
                " or several draws of `impute`"
            )
        table = self._partial(frame, "X")
        table.pop(column, None)
        return target, schema.encode(table, absent_is_unknown=True).x

    def _probabilities(self, target: Classes, x: FloatArray) -> FloatArray:
        """Returns the probabilities of the classes, `[N, K]`, that of a missing cell left out."""
        variable = self.schema_.place(target.name).start
        found = np.empty((len(x), len(target.values)), np.float32)
        is_whole = (~np.isnan(np.delete(x, variable, axis=1))).all(axis=1)
        if is_whole.any():
            found[is_whole] = self._joint_log_probs(x[is_whole], variable, len(target.values))
        if not is_whole.all():
            rest = np.flatnonzero(~is_whole)
            for rows, conditional in answers.conditionals_of(self._queries(), x[rest], variable):
                found[rest[rows]] = conditional.state_log_probs()[:, : len(target.values)]
        found = np.exp(found - found.max(axis=1, keepdims=True))
        return found / found.sum(axis=1, keepdims=True)

    def _joint_log_probs(self, x: FloatArray, variable: int, count: int) -> FloatArray:
        """Returns log p(row with each class in its place), `[N, K]`."""
        rows = np.repeat(x, count, axis=0)
        rows[:, variable] = np.tile(np.arange(count), len(x))
        return scoring.log_prob(self._fitted().joint, rows).reshape(len(x), count)

    # Odd rows.

    def surprise(self, X) -> Any:  # noqa: N803
        """Returns how surprising each cell is given the others of its row, in nats.

        Returns:
            A frame `[N, C]` with the table's columns.
        """
        cells = self._surprise(self.schema_.encode_frame(X, "X"))
        found = {name: Cells.of(cells[:, n]) for n, name in enumerate(self.schema_.names)}
        return _plain_frame(found, self.schema_.library, getattr(X, "index", None))

    def _surprise(self, encoded: Encoded) -> FloatArray:
        x, new, broken = encoded
        surprise = answers.column_surprise(self._queries(), self.schema_, x)
        surprise = np.where(new, 0.0, surprise)
        return surprise + math.log(self.schema_.num_rows + 1) * (new | broken)

    def anomalies(self, X, top: int | None = None) -> Any:  # noqa: N803
        """Returns how odd rows are, and in words what is odd about them.

        Args:
            X: a frame.
            top: how many rows, the oddest first; `None` for all in their order.

        Returns:
            A frame with the columns `row` (counted from 0), `score` (-log-probability, in nats) and
            `why` (the most surprising cells, with what was expected); of pandas, with X's index.
        """
        encoded = self.schema_.encode_frame(X, "X")
        scores = -self._scores(encoded)
        rows = np.arange(len(scores))
        if top is not None:
            rows = np.argsort(-scores, kind="stable")[: integer("top", top)]
        chosen = Encoded(*(part[rows] for part in encoded))
        table = self.schema_.cells_of(take_rows(X, rows) if top is not None else X, "X")
        cells = {
            "row": Cells.of(rows.astype(np.int64)),
            "score": Cells.of(scores[rows].astype(np.float64)),
            "why": Cells.of(np.array(self._reasons(chosen, table), object)),
        }
        index = getattr(X, "index", None)
        return _plain_frame(cells, self.schema_.library, None if index is None else index[rows])

    def _reasons(self, encoded: Encoded, table: Mapping[str, Cells]) -> list[str]:
        surprise = self._surprise(encoded)
        order = np.argsort(-surprise, axis=1)[:, :_REASONS]
        texts: list[list[str]] = [[] for _ in surprise]
        said: dict[tuple[int, int], str] = {}
        for number, name in enumerate(self.schema_.names):
            own = (order == number).any(axis=1) & (surprise[:, number] >= _SURPRISING)
            rows = np.flatnonzero(own)
            place = self.schema_.place(name)
            if not len(rows):
                continue
            expected = [""] * len(rows)
            if place.stop > place.start:
                expected = words.expectations(self._queries(), self.schema_, encoded.x[rows], name)
            given = table[name].objects()
            for row, text in zip(rows, expected, strict=True):
                if encoded.broken[row, number]:
                    text = f"contradicts {self.schema_.column(name).describe()}"
                elif encoded.new[row, number]:
                    text = f"never seen, {text}" if text else "never seen"
                said[row, number] = f"{name} {words.text_of(given[row])}: {text}".rstrip(": ")
        for row, numbers in enumerate(order):
            texts[row] = [said[row, number] for number in numbers if (row, number) in said]
        return ["; ".join(each) for each in texts]

    # What answers.

    def _fitted(self) -> TableNetwork:
        if not hasattr(self, "network_"):
            from sklearn.exceptions import NotFittedError

            raise NotFittedError("This TableModel is not fitted: call `fit` first.")
        return self.network_

    def _joint(self) -> MADEDistribution:
        return self._distribution("joint")

    def _queries(self):
        if self._fitted().questions is None:
            raise ValueError(
                "`questions` must not be None for what is asked of some columns given others: fit "
                "a TableModel with a network of questions."
            )
        return self._distribution("questions").queries

    def _distribution(self, name: str) -> MADEDistribution:
        network = self._fitted()
        made = self.__dict__.setdefault("_distributions", {})
        owner, found = made.get(name, (None, None))
        if owner is not network:
            found = MADEDistribution(getattr(network, name))
            made[name] = network, found
        return found


def _plain_frame(cells: Mapping[str, Cells], library: str, index: Any) -> Any:
    """Returns numbers and texts as a frame."""
    from made_tf.data.frames import frame_of
    from made_tf.portable.schema import Source

    is_pandas = library == "pandas"
    sources = {}
    for name, own in cells.items():
        kind = own.values.dtype.kind
        if kind == "O":
            sources[name] = Source("text", "str" if is_pandas else "String")
        elif kind == "i":
            sources[name] = Source("integer", "int64" if is_pandas else "Int64")
        else:
            dtype = own.values.dtype.name
            sources[name] = Source("real", dtype if is_pandas else dtype.capitalize())
    return frame_of(cells, sources, library, index)
