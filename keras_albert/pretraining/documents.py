"""Documents in text files and JSON lines: parts of files, bytes, sentences.

A file is read in blocks, by several workers at a time, and the documents do
not depend on where the blocks are.
"""

import collections
import dataclasses
import gzip
import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import IO, cast

from keras_albert.preprocessing.sentences import split_sentences

FORMATS = ("text", "jsonl")
# Bytes of text that a worker takes at a time.
BLOCK_SIZE = 1 << 20
# Bytes. A longer document is cut at a line: it would be one record.
MAX_DOCUMENT_SIZE = 1 << 20
# Bytes. A longer line is cut, between characters.
MAX_LINE_SIZE = 1 << 20
# Bytes. A longer line of JSON is left out: its parts are none.
MAX_JSON_LINE_SIZE = 1 << 28
# Bytes at the beginning of a file in which a NUL tells that it is no text.
_LOOKED_AT = 1 << 13


@dataclasses.dataclass(frozen=True)
class Block:
    """A part of a file; of a compressed one, all of it.

    Attributes:
        path: Of the file.
        start: Byte from which documents begin.
        end: Byte before which they do, or `None`: to the end of the file.
    """

    path: str
    start: int = 0
    end: int | None = None


@dataclasses.dataclass(frozen=True)
class TextFormat:
    """How documents are written down.

    Attributes:
        format: `"text"`: paragraphs or sentences a line, blank lines between
            documents; or `"jsonl"`: a document a line.
        text_field: The field of the text in JSON lines.
        sentence_per_line: Whether lines are sentences, and are not split.
    """

    format: str = "text"
    text_field: str = "text"
    sentence_per_line: bool = False


def text_files(files: Sequence[str | os.PathLike]) -> list[str]:
    """Files, and the files in folders, hidden ones left out; sorted.

    Links to folders are followed, each folder once.

    Args:
        files: Paths of files and folders.

    Raises:
        ValueError: If there are none, or one is a pipe or device.
        FileNotFoundError: If one is missing.
    """
    if isinstance(files, (str, os.PathLike)):
        files = [files]
    found: list[str] = []
    for path in [os.fspath(path) for path in files]:
        if os.path.isdir(path):
            found += _files_within(path)
        elif os.path.isfile(path):
            found.append(path)
        elif os.path.exists(path):
            raise ValueError(
                "The text must be files or folders, which are read more than "
                f"once. {path} is a pipe or a device; write it to a file."
            )
        else:
            raise FileNotFoundError(
                f"The text must be files or folders. {path} does not exist."
            )
    if not found:
        raise ValueError(
            "There must be at least one text file. Received: "
            f"{', '.join(map(str, files)) or 'none'}, without files."
        )
    return sorted(dict.fromkeys(found))


def _files_within(path: str) -> Iterator[str]:
    entered = {os.path.realpath(path)}
    for folder, folders, names in os.walk(path, followlinks=True):
        kept = []
        for name in sorted(folders):
            target = os.path.realpath(os.path.join(folder, name))
            if not name.startswith(".") and target not in entered:
                entered.add(target)
                kept.append(name)
        folders[:] = kept
        for name in names:
            file = os.path.join(folder, name)
            if name.startswith("."):
                continue
            if os.path.isfile(file):
                yield file
            elif os.path.islink(file) and not os.path.exists(file):
                raise FileNotFoundError(
                    f"The text must be files. {file} is a link to nothing; "
                    "remove it."
                )


def check_apart(
    files: Sequence[str | os.PathLike], output: str | os.PathLike
) -> None:
    """Checks that what is written is not taken for text the next time.

    Args:
        files: Paths of text files, and folders with them.
        output: Path of a folder to write.

    Raises:
        ValueError: If the output is one of the folders or lies in one.
    """
    written = os.path.join(os.path.realpath(output), "")
    for path in [os.fspath(path) for path in files]:
        if os.path.isdir(path) and written.startswith(
            os.path.join(os.path.realpath(path), "")
        ):
            raise ValueError(
                "The output must not lie in a folder of text, where it would "
                f"be read as text. Received: {os.fspath(output)!r}, in {path}."
            )


def open_binary(path: str) -> IO[bytes]:
    """Opens a local file, uncompressed when its name ends in `.gz`."""
    if path.endswith(".gz"):
        return cast(IO[bytes], gzip.open(path, "rb"))
    return open(path, "rb")


def check_text(path: str, file: IO[bytes]) -> None:
    """Checks that a file is text, by its beginning.

    Args:
        path: For the message.
        file: The open file.

    Raises:
        ValueError: If it is binary or in UTF-16.
    """
    try:
        beginning = file.read(_LOOKED_AT)
    except (EOFError, OSError) as error:
        raise unreadable(path, error) from error
    if b"\0" in beginning:
        raise ValueError(
            f"Text files must be UTF-8 text. {path} is binary, or UTF-16; "
            "leave it out, or convert it: `iconv -f utf-16 -t utf-8`."
        )


def unreadable(path: str, error: Exception) -> ValueError:
    """What is raised when a file cannot be read to its end."""
    return ValueError(
        f"{path} must be readable, and whole when it is compressed. It is "
        f"not: {error}"
    )


def read_chunks(
    block: Block,
    text_format: TextFormat,
    open_file: Callable[[str], IO[bytes]] = open_binary,
) -> Iterator[list[bytes]]:
    """Reads the documents that begin in a block.

    Args:
        block: Part of a file.
        text_format: How documents are written.
        open_file: Opens a path for reading, uncompressed.

    Yields:
        The bytes of documents, about `BLOCK_SIZE` of them at a time.

    Raises:
        ValueError: If the file cannot be read to its end.
    """
    chunk: list[bytes] = []
    size = 0
    try:
        with open_file(block.path) as file:
            lines = _lines(block, file, text_format)
            documents = (
                _json_lines(block, lines)
                if text_format.format == "jsonl"
                else _between_blank_lines(block, lines)
            )
            for document in documents:
                chunk.append(document)
                size += len(document)
                if size >= BLOCK_SIZE:
                    yield chunk
                    chunk, size = [], 0
    except (EOFError, OSError) as error:
        raise unreadable(block.path, error) from error
    if chunk:
        yield chunk


def lines_of(file: IO[bytes], text_format: TextFormat) -> Iterator[bytes]:
    """The lines of a file, the very long ones in parts.

    Args:
        file: The open file.
        text_format: How documents are written.
    """
    limit = _longest_line(text_format)
    rest = b""
    for line in iter(lambda: file.readline(limit), b""):
        line = rest + line
        rest = b""
        if len(line) >= limit and not line.endswith(b"\n"):
            # A character is not parted: it begins at the last byte that is
            # none of its later ones.
            cut = len(line) - 1
            while cut > len(line) - 4 and line[cut] & 0xC0 == 0x80:
                cut -= 1
            line, rest = line[:cut], line[cut:]
        yield line
    if rest:
        yield rest


def _longest_line(text_format: TextFormat) -> int:
    if text_format.format == "jsonl":
        return MAX_JSON_LINE_SIZE
    return MAX_LINE_SIZE


def _lines(
    block: Block, file: IO[bytes], text_format: TextFormat
) -> Iterator[tuple[int, bytes]]:
    """The lines from the first one that begins in the block on."""
    offset = 0
    if block.start:
        file.seek(block.start - 1)
        offset = block.start - 1
        for line in iter(lambda: file.readline(MAX_LINE_SIZE), b""):
            offset += len(line)
            if line.endswith(b"\n"):
                break
    for line in lines_of(file, text_format):
        yield offset, line
        offset += len(line)


def _json_lines(
    block: Block, lines: Iterator[tuple[int, bytes]]
) -> Iterator[bytes]:
    for offset, line in lines:
        if block.end is not None and offset >= block.end:
            return
        if not line.isspace():
            yield line


def _between_blank_lines(
    block: Block, lines: Iterator[tuple[int, bytes]]
) -> Iterator[bytes]:
    """A document belongs to the block in which the blank line before it is."""
    document: list[bytes] = []
    size = 0
    is_ours = block.start == 0
    for offset, line in lines:
        if line.isspace():
            if document:
                yield b"".join(document)
                document, size = [], 0
            is_ours = block.end is None or offset < block.end
            if not is_ours:
                return
        elif is_ours:
            document.append(line)
            size += len(line)
            if size >= MAX_DOCUMENT_SIZE:
                yield b"".join(document)
                document, size = [], 0
        elif block.end is not None and offset >= block.end:
            return
    if document:
        yield b"".join(document)


def sentences_of(
    document: bytes, text_format: TextFormat, counts: collections.Counter
) -> Iterator[list[str]]:
    """Splits a document into sentences.

    Args:
        document: Its bytes.
        text_format: How it is written.
        counts: To which `invalid_utf8_lines` and `invalid_json_lines` are
            added, lines that are left out.

    Yields:
        Its sentences; those of a very long document in JSON in several lists,
        a document each, as `read_chunks` parts others.
    """
    lines = line_texts(document, text_format, counts)
    is_long = lines and len(document) > MAX_DOCUMENT_SIZE
    for part in _parts(lines) if is_long else [lines]:
        if text_format.sentence_per_line:
            yield part
        else:
            yield [s for line in part for s in split_sentences(line)]


def _parts(lines: list[str]) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for line in lines:
        part.append(line)
        size += len(line.encode()) + 1
        if size >= MAX_DOCUMENT_SIZE:
            yield part
            part, size = [], 0
    if part:
        yield part


def line_texts(
    content: bytes, text_format: TextFormat, counts: collections.Counter
) -> list[str]:
    """The lines of a document's text.

    Args:
        content: Its bytes.
        text_format: How it is written.
        counts: As for `sentences_of`.

    Returns:
        Lines without white space around them, none empty.
    """
    if text_format.format == "jsonl":
        if content.isspace():
            return []
        text = _json_text(content, text_format.text_field, counts)
        lines = text.splitlines()
    else:
        lines = _decode(content, counts)
    return [line for line in map(str.strip, lines) if line]


def _decode(document: bytes, counts: collections.Counter) -> list[str]:
    try:
        return document.decode().lstrip("\ufeff").split("\n")
    except UnicodeDecodeError:
        lines = []
        for line in document.split(b"\n"):
            try:
                lines.append(line.decode().lstrip("\ufeff"))
            except UnicodeDecodeError:
                counts["invalid_utf8_lines"] += 1
        return lines


def _json_text(line: bytes, field: str, counts: collections.Counter) -> str:
    try:
        text = json.loads(line.decode().lstrip("\ufeff"))[field]
        text.encode()  # Half a surrogate pair is JSON, but no text.
        return text
    except UnicodeError:
        counts["invalid_utf8_lines"] += 1
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        counts["invalid_json_lines"] += 1
    return ""


def blocks_of(path: str, size: int) -> list[Block]:
    """The blocks of a file.

    Args:
        path: Of the file.
        size: In bytes, as it lies on the disk.
    """
    if path.endswith(".gz"):
        return [Block(path)]
    return [
        Block(path, start, min(start + BLOCK_SIZE, size))
        for start in range(0, size, BLOCK_SIZE)
    ]
