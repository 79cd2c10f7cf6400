"""Texts that belong together from CSV, TSV and JSON-lines files."""

import dataclasses

from keras_albert.data.labels import check_class_names, parse_scores
from keras_albert.data.readers import Rows, read_rows


@dataclasses.dataclass(frozen=True)
class PairFiles:
    """How files of texts that belong together are read.

    Attributes:
        text_column: string, see `keras_albert.data.readers.read_rows`.
        pair_column: string, the texts that belong to the first ones, or that
            are compared with them.
        negative_column: string or `None`, hard negatives.
        label_column: string or `None`: scores, or classes.
        regression: bool. Labels are scores.
    """

    text_column: str
    pair_column: str
    negative_column: str | None = None
    label_column: str | None = None
    regression: bool = False

    def __post_init__(self):
        if self.regression and self.label_column is None:
            raise ValueError(
                "Scores must be in a column. Received none; name it as the "
                "label column."
            )
        if self.regression and self.negative_column is not None:
            raise ValueError(
                "Hard negatives must come with texts that belong together, "
                "not with scores. Received the column "
                f"{self.negative_column!r}; leave it out."
            )
        columns = (self.text_column, self.pair_column, self.label_column)
        if self.negative_column in columns and self.negative_column:
            raise ValueError(
                "Hard negatives must have a column of their own. Received: "
                f"{self.negative_column!r}; name another one."
            )

    def read(self, path):
        """Reads a file's examples.

        Args:
            path: string or path.

        Returns:
            A `Rows`, whose texts are tuples of two texts, or of three with
            hard negatives.

        Raises:
            ValueError: if the file is not as described, or a text is empty.
            OSError: if it cannot be read.
        """
        rows = read_rows(
            path, self.text_column, self.pair_column, self.label_column
        )
        columns = [self.text_column, self.pair_column]
        if self.negative_column is not None:
            columns.append(self.negative_column)
            others = read_rows(path, self.negative_column).texts
            rows.texts = [
                (*pair, other)
                for pair, other in zip(rows.texts, others, strict=True)
            ]
        for index, texts in enumerate(rows.texts):
            for column, text in zip(columns, texts, strict=True):
                if not text.strip():
                    raise ValueError(
                        f"{rows.where(index)}: the text in column {column!r} "
                        "must not be empty. Give it one, or remove the row."
                    )
        return rows

    def targets(self, rows: Rows):
        """The targets of rows.

        Args:
            rows: what `read` returned.

        Returns:
            `(rows,)` float32 scores; a list of classes; or `None`.

        Raises:
            ValueError: if a score is no number, or a class has no name, or
                several.
        """
        if self.regression:
            return parse_scores(rows)
        for index, label in enumerate(rows.labels or ()):
            if isinstance(label, list):
                raise ValueError(
                    f"{rows.where(index)}: the class must be one. It is a "
                    "list; name one."
                )
        check_class_names(rows, "give classes names that are no numbers")
        return rows.labels
