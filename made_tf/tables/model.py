"""`TableModel`: a data frame in, and synthetic rows, filled cells, odd rows and answers out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from made_tf.data.table_schema import TableSchema
from made_tf.portable.arguments import integer, positive
from made_tf.portable.arrays import FloatArray
from made_tf.portable.files import PathLike
from made_tf.tables import assessment, oddities, prediction, rows
from made_tf.tables.device import variables_of
from made_tf.tables.files import load_network, save_network
from made_tf.tables.fitted import Fitted
from made_tf.tables.probability import Probability, probability
from made_tf.tables.training import checked_budget, prepare, recipes_of, together, train_network

if TYPE_CHECKING:
    from made_tf.quality import QualityReport

__all__ = ["TableModel"]


class TableModel(BaseEstimator):
    """The density of the rows of a table, as its owner has it.

    Columns of any kind: categories, numbers, dates, missing cells. What other columns determine
    (sums, names of codes, an end after its start) is found and holds in every row that is drawn.
    It follows scikit-learn's conventions, and frames come out as they went in: of the same library,
    with the same columns, dtypes and index.

    Args:
        overrides: what is known of columns, as `TableSchema.infer`.
        constraints: what holds in all rows: `Inequality`, `Sum`, `FixedCombinations`, `Unique`.
        find_facts: whether to look for what columns determine.
        recipe: how the density of whole rows is trained: a name, a `.toml` file or a `Recipe`. That
            of several members is theirs in equal parts.
        questions: how the network is trained that answers what is asked of some columns given
            others (`impute`, `predict`, `anomalies`, `sample(given=)`), a recipe of one member;
            `None` for none.
        validation_fraction: the part of the rows that says when to stop.
        time_budget: how many seconds training may take; `None` for as long as the recipes say.
        memory: how many bytes a table in files may take, as of `made_tf.data.RowStream`.
        seed: fixes everything, training included.
        verbose: 1 for a progress bar, 0 for none.

    Attributes:
        schema_: what each column was taken for.
        network_: the `TableNetwork`.
        validation_nll_: of the rows that were set aside, in nats.
        history_: the metrics of each look at them.

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
        memory="2GB",
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
        self.memory = memory

    def fit(self, X, y=None):
        """Finds the schema and trains the networks.

        Args:
            X: a data frame (pandas, polars, pyarrow, ...), `[N, D]` of numbers, or a mapping; or
                where Parquet files lie that are larger than memory: a folder, a pattern or a file.
            y: not used.

        Raises:
            ValueError: if columns cannot be modelled, or an argument is out of range.
        """
        del y
        return self.fit_in(X, None)

    def fit_in(self, frame, folder, echo=print):
        """As `fit`, in a folder that keeps what a run that was cut off has done.

        Args:
            frame: as `X` of `fit`.
            folder: a path; `None` for a temporary one.
            echo: prints the schema, where it is `verbose`.
        """
        seed, budget = integer("seed", self.seed, 0, 2**31), checked_budget(self.time_budget)
        table = prepare(frame, self, seed, folder)
        if self.verbose:
            echo(str(table.schema))
        recipes = recipes_of(self)
        seconds = None if budget is None else budget / len(recipes)
        titles = [recipe.name if self.verbose else "" for recipe in recipes]
        trained = [
            train_network(recipe, table, seed, seconds, folder, title)
            for recipe, title in zip(recipes, titles, strict=True)
        ]
        self.network_ = together(table, trained)
        self.validation_nll_ = trained[0].valid_nll
        self.history_ = trained[0].history
        return self

    @property
    def schema_(self) -> TableSchema:
        """What each column was taken for."""
        return self._asked().schema

    def save(self, path: PathLike) -> None:
        """Writes the model to one `.keras` file.

        Raises:
            ValueError: if the path does not end in .keras.
            OSError: if it cannot be written.
        """
        save_network(self._asked().network, path)

    @classmethod
    def load(cls, path: PathLike) -> TableModel:
        """Opens a file that `save` wrote. Of training it has the networks alone.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is no table's model, or damaged.
        """
        model = cls()
        model.network_ = load_network(path)
        return model

    def to_tflite(self, path: PathLike, network: str = "joint", **options: Any) -> Any:
        """Exports one of the networks, with the table's names and categories.

        Args:
            path: the `.tflite` file, which `made_tf.export.LiteTable` opens.
            network: `"joint"`, the density of whole rows, which scores and samples; or
                `"questions"`, which fills in cells, too.
            **options: of `made_tf.export.to_tflite`.

        Returns:
            An `ExportReport`.

        Raises:
            ValueError: if there is no such network.
            made_tf.export.ExportError: if the file is found wanting.
        """
        from made_tf.export import to_tflite

        fitted = self._asked()
        options.setdefault("variables", variables_of(fitted.schema))
        chosen = fitted.named(network)
        return to_tflite(chosen, path, schema=fitted.schema.to_dict(), **options)

    def log_prob(self, X) -> FloatArray:
        """Returns the log-probability (or log-density) of each row, in nats, `[N]`.

        Columns are found by name. Of a cell that the table never had (an unknown category, a number
        off the grid, a missing one in a column without any) the network sees nothing, and it counts
        as what comes next where nothing like it came in n rows: 1 / (n + 1). So does a cell that
        contradicts what determines it.

        Raises:
            ValueError: if columns are not there, or of another sort.
        """
        fitted = self._asked()
        return oddities.log_prob(fitted, fitted.schema.encode_frame(X, "X"))

    def score_samples(self, X) -> FloatArray:
        """As `log_prob`."""
        return self.log_prob(X)

    def score(self, X, y=None) -> float:
        """Returns the mean log-probability of the rows, in nats."""
        del y
        return float(np.mean(self.log_prob(X)))

    def sample(self, n: int = 1, seed: int = 0, given: Any = None) -> Any:
        """Draws rows.

        Args:
            n: how many. (With a frame for `given`: for each of its rows.)
            seed: a 32-bit integer; row i follows from the seed and i alone.
            given: a mapping of names to cells, which all rows have, or a frame with a row each.
                Of a missing cell nothing is known; none of these rows has one.

        Returns:
            A frame of the library that the table came in.

        Raises:
            ValueError: if an argument is out of range, `given` names no column, or has cells that
                the table never had or that contradict each other, or there are not so many rows
                that differ in `Unique` columns.
        """
        return rows.sample(self._asked(), n, seed, given)

    def impute(self, X, seed: int = 0, num_draws: int | None = None) -> Any:
        """Fills in missing cells by draws, all of a row together, given the rest of the row.

        Args:
            X: a frame; columns that are not there are filled in, too. Cells that the table never
                had stay, and nothing follows from them.
            seed: a 32-bit integer.
            num_draws: how many frames of draws; `None` for one frame.

        Returns:
            A frame with the index of X, or a list of `num_draws` frames.

        Raises:
            ValueError: as `log_prob`.
        """
        return rows.impute(self._asked(), X, seed, num_draws)

    def predict_proba(self, X, column: str) -> Any:
        """Returns the probability of each class of a column, given the other cells of each row.

        Args:
            X: a frame; columns need not be there, the one that is asked for among them. A missing
                cell is known to be missing where its column has such.
            column: a column of classes or of few whole numbers, or one that such a one determines.

        Returns:
            A frame `[N, K]` with a column for each class (as text), of X's index.

        Raises:
            ValueError: if the column is another one.
        """
        return prediction.predict_proba(self._asked(), X, column)

    def predict(self, X, column: str, seed: int = 0, num_draws: int = 50) -> Any:
        """Returns the most probable class of a column, or the median of its draws, for each row.

        Args:
            X: a frame, as of `predict_proba`.
            column: any column.
            seed: of the draws, a 32-bit integer.
            num_draws: how many draws a median takes.

        Returns:
            A frame with the column alone.
        """
        return prediction.predict(self._asked(), X, column, seed, num_draws)

    def probability(
        self, where, given=None, num_samples=1000, seed=0, tolerance=0.0, of_whole_rows=None
    ) -> Probability:
        """Returns how probable it is that a row meets a condition.

        Args:
            where: a condition in SQL, as `"price < 1000 AND cut IN ('Ideal', 'Fair')"`, or a list.
            given: what is known of the row: a condition as well, or cells by the column's name.
            num_samples: how many draws an answer takes; of questions' network one column is exact.
            seed: of the draws.
            tolerance: which standard error is small enough, as `MADEDistribution.log_prob_in`.
            of_whole_rows: whether to draw all columns; by default if a question is about 4 or more.

        Returns:
            A `Probability`; its `count` is that of rows in a table like the one of `fit`.

        Raises:
            ValueError: if it is no such condition, or about columns or values that are not there.
        """
        asked = where, given, num_samples, seed, tolerance, of_whole_rows
        return probability(self._asked(), *asked)

    def surprise(self, X) -> Any:
        """Returns how surprising each cell is given its row's others, in nats: a frame `[N, C]`."""
        return oddities.surprise(self._asked(), X)

    def log_prob_near(self, X, near: float = 0.5) -> FloatArray:
        """Returns how probable it is to come near each row, cell by cell: `[N]`, in nats.

        Near is the same class, or a number (or class of an order) within `near` times the column's
        spread, each given the exact cells before it: the standard deviation, or by the quartiles
        where that is less. Cells that never came count as ever.

        Raises:
            ValueError: as `log_prob`, and if `near` is no positive number.
        """
        fitted, near = self._asked(), positive("near", near)
        return oddities.log_prob_near(fitted, fitted.schema.encode_frame(X, "X"), near)

    def anomalies(self, X, top: int | None = None, near: float = 0.5) -> Any:
        """Returns how odd rows are, and in words what is odd about them.

        Args:
            X: a frame.
            top: how many rows, the oddest first; `None` for all in their order.
            near: as of `log_prob_near`.

        Returns:
            A frame with the columns `row` (counted from 0), `score` (-`log_prob_near`, in nats) and
            `why` (the most surprising cells, with what was expected); of pandas, with X's index.
        """
        return oddities.anomalies(self._asked(), X, top, positive("near", near))

    def quality(
        self, X, train=None, target: str | None = None, n: int | None = None, seed: int = 0
    ) -> QualityReport:
        """Tells how good rows drawn from the model are: see `made_tf.quality.assess`.

        Args:
            X: a frame of real rows that the model has not learned from.
            train: the frame that it has learned from, for figures to compare with, and whether it
                knows rows by heart.
            target: the column that is predicted from the others; chosen by default.
            n: how many rows are drawn; `None` for as many as the longer frame has.
            seed: of the rows and of the tests.

        Returns:
            A `QualityReport`: print it, or write it (`to_html`, `to_json`).

        Raises:
            ValueError: if there are fewer than 20 rows of a sort, columns are not there or hold
                cells of another sort, or `target` is no column that can be compared.
        """
        return assessment.quality(self._asked(), X, train, target, n, seed)

    def _asked(self) -> Fitted:
        """Returns the networks.

        Raises:
            NotFittedError: if there are none.
        """
        check_is_fitted(self, "network_")
        fitted = self.__dict__.get("_fitted")
        if fitted is None or fitted.network is not self.network_:
            fitted = self._fitted = Fitted(self.network_)
        return fitted
