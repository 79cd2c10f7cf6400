"""Hugging Face's tokenizer files, in and out.

`transformers` writes `tokenizer.json`: the pieces, their scores and the
normalization table of a SentencePiece model, beside the folding as a list of
normalizers. A SentencePiece model is rebuilt from it.
"""

import base64
import binascii
import json
import os

from keras_albert.checkpoints.reading import flag, read_json
from keras_albert.checkpoints.sentencepiece_model import (
    CONTROL,
    NORMAL,
    UNKNOWN,
    USER_DEFINED,
    make_model,
    read_model,
)
from keras_albert.checkpoints.wordpiece import (
    VOCABULARY_FILE,
    read_wordpiece,
    read_wordpiece_json,
    write_wordpiece,
)

SENTENCEPIECE_FILE = "spiece.model"
TOKENIZER_FILE = "tokenizer.json"
CONFIG_FILE = "tokenizer_config.json"

# Those make their normalizers from the configuration, not from the file.
_ALBERT_CLASSES = ("AlbertTokenizer", "AlbertTokenizerFast")
_SPECIAL = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")
_QUOTES = ("``", "''")
_KNOWN_NORMALIZERS = (
    "Replace",
    "NFKD",
    "StripAccents",
    "Lowercase",
    "Precompiled",
)


# === Reading ===


def read_tokenizer(folder):
    """Finds the vocabulary of a Hugging Face folder.

    Args:
        folder: string, its path.

    Returns:
        The arguments of `AlbertTokenizer`, or of `AlbertWordPieceTokenizer`
        (then with `"vocabulary"`), with which it gives the ids that
        `transformers` gives; `None` if there is no vocabulary.

    Raises:
        ValueError: if it is of another kind, or damaged.
    """
    config_path = os.path.join(folder, CONFIG_FILE)
    config = read_json(config_path) if os.path.isfile(config_path) else {}
    path = os.path.join(folder, TOKENIZER_FILE)
    sentencepiece = os.path.join(folder, SENTENCEPIECE_FILE)
    tokenizer = read_json(path) if os.path.isfile(path) else None
    if os.path.isfile(sentencepiece):
        return {
            "proto": sentencepiece,
            **_folding(config, tokenizer, config_path),
        }
    vocabulary = os.path.join(folder, VOCABULARY_FILE)
    if tokenizer is None:
        if os.path.isfile(vocabulary):
            return read_wordpiece(vocabulary, config, config_path)
        return None
    model = tokenizer.get("model")
    kind = model.get("type") if isinstance(model, dict) else None
    if kind == "WordPiece":
        return read_wordpiece_json(path, tokenizer, config, config_path)
    if kind != "Unigram":
        raise ValueError(
            "The tokenizer must be a Unigram model, as SentencePiece's, or "
            f"WordPiece, as BERT's. {path!r} has {kind!r}."
        )
    try:
        proto = make_model(_pieces(tokenizer), _charsmap(tokenizer))
        folding = _folding(config, tokenizer, config_path)
    except (LookupError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(
            "The tokenizer must be as `transformers` writes it. "
            f"{path!r} is not: {error}."
        ) from error
    except ValueError as error:
        if str(folder) in str(error):
            raise
        raise ValueError(
            "The tokenizer must have a vocabulary of pieces and scores, "
            f"complete and in order. {path!r} has not: {error}."
        ) from error
    return {"proto": proto, **folding}


def _pieces(tokenizer):
    unknown = tokenizer["model"]["unk_id"]
    if not isinstance(unknown, int) or not (
        0 <= unknown < len(tokenizer["model"]["vocab"])
    ):
        raise ValueError(f"`unk_id` is {unknown!r}")
    if tokenizer["model"].get("byte_fallback"):
        raise ValueError("`byte_fallback` is on, which ALBERT's is not")
    pieces = [
        (piece, float(score), UNKNOWN if index == unknown else NORMAL)
        for index, (piece, score) in enumerate(tokenizer["model"]["vocab"])
    ]
    for token in sorted(tokenizer.get("added_tokens", ()), key=_token_id):
        index = token["id"]
        kind = CONTROL if token["special"] else USER_DEFINED
        if index == len(pieces):
            pieces.append((token["content"], 0.0, kind))
        piece, score, former = pieces[index]
        if piece != token["content"]:
            raise ValueError(f"{token['content']!r} is not piece {index}")
        if former != UNKNOWN:
            pieces[index] = (piece, score, kind)
    return pieces


def _token_id(token):
    return token["id"]


def _normalizers(tokenizer):
    normalizer = tokenizer.get("normalizer") or {}
    return normalizer.get("normalizers", [normalizer] if normalizer else [])


def _charsmap(tokenizer):
    for normalizer in _normalizers(tokenizer):
        if normalizer["type"] == "Precompiled":
            try:
                return base64.b64decode(normalizer["precompiled_charsmap"])
            except binascii.Error as error:
                raise ValueError(f"its charsmap is damaged ({error})") from None
    return b""


def _folding(config, tokenizer, config_path):
    class_name = config.get("tokenizer_class")
    if tokenizer is None or class_name in (None, *_ALBERT_CLASSES):
        lowercase = flag(config, "do_lower_case", True, config_path)
        strip_accents = not flag(config, "keep_accents", False, config_path)
        replace_quotes = True
    else:
        kinds = [n.get("type") for n in _normalizers(tokenizer)]
        for kind in kinds:
            if kind not in _KNOWN_NORMALIZERS:
                raise ValueError(
                    "The normalizers must be those of ALBERT: "
                    f"{', '.join(_KNOWN_NORMALIZERS)}. "
                    f"{os.path.dirname(config_path)!r} has {kind!r}."
                )
        lowercase = "Lowercase" in kinds
        strip_accents = "StripAccents" in kinds
        replace_quotes = "Replace" in kinds
    return {
        "lowercase": lowercase,
        "strip_accents": strip_accents,
        "replace_quotes": replace_quotes,
        # `transformers` leaves such pieces whole, unlike the original.
        "split_digit_commas": False,
    }


# === Writing ===


def write_tokenizer(tokenizer, folder):
    """Writes a tokenizer so that `transformers` gives the same ids.

    Beside `tokenizer.json`, `spiece.model` is written for other programs: the
    model with the whole folding inside. Text that looks like a special token
    ("[MASK]") is that token in `transformers` and is not here.

    Args:
        tokenizer: an `AlbertTokenizer` or `AlbertWordPieceTokenizer`.
        folder: string, an existing folder.
    """
    if not hasattr(tokenizer, "proto"):
        write_wordpiece(tokenizer, folder, CONFIG_FILE)
        return
    pieces, charsmap = read_model(tokenizer.proto)
    with open(os.path.join(folder, SENTENCEPIECE_FILE), "wb") as file:
        file.write(tokenizer.proto)
    vocabulary = [
        [_reachable(piece, kind), score] for piece, score, kind in pieces
    ]
    names = [piece for piece, _, _ in pieces]
    added = [_added_token(names.index(name), name) for name in _SPECIAL]
    _write_json(
        os.path.join(folder, TOKENIZER_FILE),
        {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": sorted(added, key=_token_id),
            "normalizer": {
                "type": "Sequence",
                "normalizers": _normalizer_list(tokenizer, charsmap),
            },
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [{"type": "WhitespaceSplit"}, _METASPACE],
            },
            "post_processor": _post_processor(names),
            "decoder": _METASPACE,
            "model": {
                "type": "Unigram",
                "unk_id": names.index("<unk>"),
                "vocab": vocabulary,
                "byte_fallback": False,
            },
        },
    )
    is_alberts = tokenizer.replace_quotes and all(
        theirs[0] == piece
        for theirs, piece in zip(vocabulary, names, strict=True)
    )
    _write_json(
        os.path.join(folder, CONFIG_FILE),
        {
            # AlbertTokenizer always replaces quotes; the other class takes
            # what is in the file.
            "tokenizer_class": "AlbertTokenizer"
            if is_alberts
            else "PreTrainedTokenizerFast",
            "do_lower_case": tokenizer.lowercase,
            "keep_accents": not tokenizer.strip_accents,
            "model_input_names": [
                "input_ids",
                "token_type_ids",
                "attention_mask",
            ],
            "bos_token": "[CLS]",
            "eos_token": "[SEP]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "unk_token": "<unk>",
            "pad_token": "<pad>",
            "mask_token": "[MASK]",
        },
    )


_METASPACE = {
    "type": "Metaspace",
    "replacement": "▁",
    "prepend_scheme": "always",
    "split": True,
}


def _reachable(piece, kind):
    """The piece, or a name that no text has, for one that text cannot give.

    `▁` only stands at the start of what is tokenized at a time.
    """
    if kind == CONTROL and piece not in _SPECIAL:
        return f"{piece}▁"
    return piece


def _added_token(index, name):
    return {
        "id": index,
        "content": name,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def _normalizer_list(tokenizer, charsmap):
    normalizers = []
    if tokenizer.replace_quotes:
        normalizers.extend(
            {"type": "Replace", "pattern": {"String": q}, "content": '"'}
            for q in _QUOTES
        )
    if tokenizer.strip_accents:
        normalizers.extend([{"type": "NFKD"}, {"type": "StripAccents"}])
    if tokenizer.lowercase:
        normalizers.append({"type": "Lowercase"})
    if charsmap:
        normalizers.append(
            {
                "type": "Precompiled",
                "precompiled_charsmap": base64.b64encode(charsmap).decode(),
            }
        )
    return normalizers


def _post_processor(names):
    def special(name, segment):
        return {"SpecialToken": {"id": name, "type_id": segment}}

    def text(name, segment):
        return {"Sequence": {"id": name, "type_id": segment}}

    first = [special("[CLS]", 0), text("A", 0), special("[SEP]", 0)]
    return {
        "type": "TemplateProcessing",
        "single": first,
        "pair": [*first, text("B", 1), special("[SEP]", 1)],
        "special_tokens": {
            name: {"id": name, "ids": [names.index(name)], "tokens": [name]}
            for name in ("[CLS]", "[SEP]")
        },
    }


def _write_json(path, content):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2, ensure_ascii=False)
