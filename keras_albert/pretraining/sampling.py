"""A fair sample of the lines of files that are larger than memory."""

import collections
import dataclasses
import heapq
import os
import random
from collections.abc import Iterator, Sequence

from keras_albert.pretraining.documents import (
    TextFormat,
    check_text,
    line_texts,
    lines_of,
    open_binary,
    text_files,
    unreadable,
)


@dataclasses.dataclass(frozen=True)
class LineSample:
    """Lines of text, and where they come from.

    Attributes:
        lines: The chosen ones that are not blank, in the order of the files.
        lines_read: Number of lines that are not blank.
        bytes_read: Bytes of text, uncompressed.
        invalid_utf8_lines: Lines left out because they are not UTF-8.
        invalid_json_lines: Lines left out because they are no JSON object
            with the text field.
    """

    lines: list[str]
    lines_read: int
    bytes_read: int
    invalid_utf8_lines: int
    invalid_json_lines: int


def sample_lines(
    files: Sequence[str | os.PathLike],
    *,
    text_format: TextFormat | None = None,
    max_lines: int,
    max_bytes: int,
    seed: int = 0,
) -> LineSample:
    """Chooses lines, each with the same chance, in one pass.

    Memory is needed for the sample only: each line draws a random number, and
    those with the smallest ones stay, as many as fit.

    Args:
        files: Paths of text files, `.gz` compressed or not, and folders.
        text_format: How they are written.
        max_lines: Lines to choose at the most.
        max_bytes: Bytes of UTF-8 in them at the most.
        seed: Seed of the choice.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If one is binary or damaged, or there is no text in any.
    """
    generator = random.Random(seed)
    counts: collections.Counter = collections.Counter()
    # The largest number first: it leaves first.
    chosen: list[tuple[float, int, str, int]] = []
    size = index = 0
    largest = 1.0
    for text in _texts(files, text_format or TextFormat(), counts):
        key = generator.random()
        index += 1
        if key > largest:
            continue
        length = len(text.encode())
        heapq.heappush(chosen, (-key, index, text, length))
        size += length
        while chosen and (len(chosen) > max_lines or size > max_bytes):
            left = heapq.heappop(chosen)
            size -= left[3]
            # Nothing larger can come back: lines would no longer have the
            # same chance.
            largest = -left[0]
    if not chosen:
        raise _no_text(files, counts, max_bytes if index else None)
    return LineSample(
        [text for _, _, text, _ in sorted(chosen, key=lambda item: item[1])],
        lines_read=index,
        bytes_read=counts["bytes"],
        invalid_utf8_lines=counts["invalid_utf8_lines"],
        invalid_json_lines=counts["invalid_json_lines"],
    )


def _texts(files, text_format, counts) -> Iterator[str]:
    for path in text_files(files):
        with open_binary(path) as file:
            check_text(path, file)
        try:
            with open_binary(path) as file:
                for line in lines_of(file, text_format):
                    counts["bytes"] += len(line)
                    yield from line_texts(line, text_format, counts)
        except (EOFError, OSError) as error:
            raise unreadable(path, error) from error


def _no_text(files, counts, max_bytes) -> ValueError:
    if isinstance(files, (str, os.PathLike)):
        files = [files]
    names = ", ".join(map(os.fspath, files))
    if max_bytes is not None:
        return ValueError(
            f"`max_bytes` must hold a line. Received: max_bytes={max_bytes}."
        )
    if counts["invalid_utf8_lines"]:
        return ValueError(
            f"Text files must be UTF-8. Received: {names}, where none of the "
            f"{counts['invalid_utf8_lines']} lines is. Convert them first: "
            "`iconv -f latin1 -t utf-8`."
        )
    if counts["invalid_json_lines"]:
        return ValueError(
            "Lines must be JSON objects with the text field. Received: "
            f"{names}, where none of the {counts['invalid_json_lines']} lines "
            "is; see --text-field."
        )
    return ValueError(
        "`files` must hold at least one line of text. Received only blank "
        f"ones: {names}."
    )
