"""What an inspection found, by row, each kind a few times."""

import collections
from collections.abc import Iterable

from keras_albert.data.duplicates import SEPARATOR
from keras_albert.data.readers import Rows

_SHOWN = 60  # Characters of a text in a message.


def joined(text: str | tuple) -> str:
    """A text; of a pair both, with a separator."""
    return text if isinstance(text, str) else SEPARATOR.join(text)


class Findings:
    """What was found, each kind a few times.

    Args:
        most: int, how many of each kind are listed.

    Attributes:
        listed: list of dictionaries of `"what"`, `"where"`, a list of files
            and lines, and `"shown"`, the beginning of the row's text.
    """

    def __init__(self, most: int):
        self.most = most
        self._counts: collections.Counter = collections.Counter()
        self.listed: list[dict] = []

    def add(self, what: str, *rows: tuple[Rows, int], shown: str = "") -> None:
        """Adds a finding.

        Args:
            what: string, its kind.
            *rows: files and indices of rows.
            shown: string, instead of the first row's text.
        """
        self._counts[what] += 1
        if self._counts[what] <= self.most:
            where = [split.where(row) for split, row in rows]
            split, row = rows[0]
            shown = shown or joined(split.texts[row])
            shown = shown.replace(SEPARATOR, " | ")[:_SHOWN]
            found = {"what": what, "where": where, "shown": shown}
            self.listed.append(found)

    def add_all(self, what: str, split: Rows, rows: Iterable[int]) -> int:
        """Adds a finding a row, and tells how many."""
        rows = list(rows)
        for row in rows:
            self.add(what, (split, row))
        return len(rows)
