"""WordPiece vocabularies, as Chinese ALBERTs have them, in and out."""

import json
import os

from keras_albert.checkpoints.reading import flag

VOCABULARY_FILE = "vocab.txt"
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


# === Reading ===


def read_wordpiece(path, config, config_path):
    """Reads a vocabulary of one token a line.

    Args:
        path: string, the vocabulary's file.
        config: dictionary, the content of `tokenizer_config.json`.
        config_path: string, its path.

    Returns:
        The arguments of `AlbertWordPieceTokenizer`, a dictionary.

    Raises:
        ValueError: if the vocabulary is damaged.
    """
    return {
        "vocabulary": _checked(read_vocabulary(path), path),
        **_folding(config, config_path),
    }


def read_wordpiece_json(path, tokenizer, config, config_path):
    """Reads the vocabulary of a `tokenizer.json`.

    Args:
        path: string, the file.
        tokenizer: dictionary, its content, of a `WordPiece` model.
        config: dictionary, the content of `tokenizer_config.json`.
        config_path: string, its path.

    Returns:
        The arguments of `AlbertWordPieceTokenizer`, a dictionary.

    Raises:
        ValueError: if it is not tokenized as BERT does, or damaged.
    """
    model = tokenizer["model"]
    for what, received, expected in (
        ("normalizer", _type(tokenizer.get("normalizer")), "BertNormalizer"),
        (
            "pre_tokenizer",
            _type(tokenizer.get("pre_tokenizer")),
            "BertPreTokenizer",
        ),
        ("unk_token", model.get("unk_token"), "[UNK]"),
        ("prefix", model.get("continuing_subword_prefix"), "##"),
    ):
        if received != expected:
            raise ValueError(
                "A WordPiece tokenizer must work as BERT's. "
                f"{path!r} has the {what} {received!r}, not {expected!r}."
            )
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict) or not all(
        type(index) is int for index in vocabulary.values()
    ):
        vocabulary = {}
    tokens = sorted(vocabulary, key=vocabulary.get)
    if [vocabulary[token] for token in tokens] != list(range(len(tokens))):
        raise ValueError(
            "A vocabulary must number its tokens from 0 on, each with one "
            f"number. {path!r} does not."
        )
    normalizer = tokenizer["normalizer"]
    settings = {
        "do_lower_case": normalizer.get("lowercase", True),
        "strip_accents": normalizer.get("strip_accents"),
        "tokenize_chinese_chars": normalizer.get("handle_chinese_chars", True),
    }
    return {
        "vocabulary": _checked(tokens, path),
        # `transformers` makes the normalizer from the configuration.
        **_folding({**settings, **config}, config_path),
    }


def read_vocabulary(path):
    """Reads a file of one token a line.

    Args:
        path: string or path of a UTF-8 file.

    Returns:
        list of strings.

    Raises:
        ValueError: if it is not UTF-8.
    """
    with open(path, encoding="utf-8", newline="\n") as file:
        try:
            return [line.rstrip("\r\n") for line in file]
        except UnicodeDecodeError as error:
            raise ValueError(
                "A vocabulary must be a text in UTF-8. "
                f"{os.fspath(path)!r} is not: {error}."
            ) from error


def _checked(tokens, path):
    missing = [token for token in _SPECIAL if token not in tokens]
    if missing:
        raise ValueError(
            "A WordPiece vocabulary must hold "
            f"{', '.join(_SPECIAL)}. {path!r} lacks {', '.join(missing)}."
        )
    if len(set(tokens)) != len(tokens):
        twice = next(t for i, t in enumerate(tokens) if t in tokens[:i])
        raise ValueError(
            "A vocabulary must hold each token once. "
            f"{path!r} holds {twice!r} more often."
        )
    return tokens


def _folding(config, path):
    strip_accents = config.get("strip_accents")
    if strip_accents is not None:
        strip_accents = flag(config, "strip_accents", None, path)
    return {
        "do_lower_case": flag(config, "do_lower_case", True, path),
        "strip_accents": strip_accents,
        "split_on_cjk": flag(config, "tokenize_chinese_chars", True, path),
    }


def _type(part):
    return part.get("type") if isinstance(part, dict) else None


# === Writing ===


def write_wordpiece(tokenizer, folder, config_file):
    """Writes a tokenizer so that `transformers` gives the same ids.

    Args:
        tokenizer: an `AlbertWordPieceTokenizer`.
        folder: string, an existing folder.
        config_file: string, the name of its configuration.
    """
    path = os.path.join(folder, VOCABULARY_FILE)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{token}\n" for token in tokenizer.get_vocabulary())
    config = tokenizer.get_config()
    path = os.path.join(folder, config_file)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(
            {
                "tokenizer_class": "BertTokenizer",
                "do_lower_case": config["do_lower_case"],
                "strip_accents": config["strip_accents"],
                "tokenize_chinese_chars": config["split_on_cjk"],
            },
            file,
            indent=2,
        )
