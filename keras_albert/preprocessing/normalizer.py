"""Text to SentencePiece pieces, as ALBERT was pretrained.

Source: google-research/albert `tokenization.py` (`preprocess_text`,
`encode_pieces`, `encode_ids`).

ALBERT's normalization lies half outside of its vocabulary file: the original
code folds the text (white space, NFKD, accents off, lower case) before
SentencePiece sees it, and splits pieces such as `▁2019,` afterwards. A
runtime that knows nothing but SentencePiece (tensorflow-text, LiteRT,
MediaPipe, C++) does neither, so that `The` becomes `<unk>`. This module holds
both halves:

- `normalize_text`, `encode_pieces`, `encode_ids`: the reference, in Python;
- `fold_sentencepiece`: the same model file with the whole normalization
  inside, which every runtime then follows.

A folded normalizer is a table that is read left to right, longest match
first, and sees nothing else of the text. `docs/tokenization.md` measures what
that loses. These classes remain:

- where a piece of digits with a comma (`▁11,` in "11,424") was on the best
  path, the reference splits that piece, while the folded model, which has no
  such piece, takes the next best path (`▁1` `1,4` `24`);
- ties (`!` `!!!` or `!!!` `!`) are settled by the rounding errors of float32
  sums; these depend on what precedes, and on the version of SentencePiece
  that a runtime has inside (`round_scores` tells more);
- a capital sigma whose neighbours are out of the table's sight: as the first
  character of a text, or parted from the next letter by a full stop or an
  apostrophe (`ΑΣ.Α`), it becomes the final `ς` instead of `σ`; the lunate `Ϲ`
  and the mathematical ones never become final;
- half-width and compatibility jamo in sequence (`ㄱㅏ`), which nmt_nfkc joins
  to a syllable, stay apart (conjoining jamo are joined);
- without `strip_accents`, combining marks in other than canonical order;
- symbols that the vocabulary holds as user-defined are not folded by
  SentencePiece. Those that folding changes (a user-defined `[MASK]`) become
  CONTROL pieces: as in the reference, text cannot produce them.
"""

import functools
import re
import unicodedata
from collections.abc import Callable, Sequence

import sentencepiece

# Marks a folded model in `normalizer_spec.name`.
_FOLDED_PREFIX = "albert_folded:"

# Names that SentencePiece gives to its own tables. Each rule of theirs that
# is longer than a code point is a composition of Unicode, so that the rules
# to look at are known without taking the table apart (which takes 0.8 s).
_BUILT_IN_NORMALIZERS = frozenset(
    {"identity", "nfkc", "nfkc_cf", "nmt_nfkc", "nmt_nfkc_cf"}
)

# `ModelProto.SentencePiece.Type`.
_NORMAL, _CONTROL, _USER_DEFINED = 1, 3, 4

# Planes 0 to 3 and the first rows of plane 14 (surrogates and NUL, which a
# table cannot hold, left out): all that Unicode has given a meaning.
_CODE_POINTS = (
    range(1, 0xD800),
    range(0xE000, 0x40000),
    range(0xE0000, 0xE1000),
)
# The last private code point: no normalizer maps it.
_SEPARATOR = "\U0010fffd"

_WHITE_SPACE = re.compile(r"\s")


# === Reference ===


def normalize_text(
    text: str,
    *,
    lowercase: bool = True,
    strip_accents: bool = True,
    replace_quotes: bool = False,
) -> str:
    """Folds a text as ALBERT's pretraining did.

    White space is collapsed to single spaces and cut off at both ends, then
    quotes, accents and case are folded, in this order. Source:
    google-research/albert `tokenization.preprocess_text`.

    Args:
        text: The text.
        lowercase: Lower-case the text (`str.lower`).
        strip_accents: Bring the text to NFKD and drop its combining marks.
        replace_quotes: Replace two grave accents or two apostrophes by one
            double quote. Hugging Face's tokenizers do, the original does not.

    Returns:
        The folded text.
    """
    text = " ".join(text.split())
    return _fold_characters(text, lowercase, strip_accents, replace_quotes)


def encode_pieces(
    processor: sentencepiece.SentencePieceProcessor,
    text: str,
    *,
    lowercase: bool = True,
    strip_accents: bool = True,
    replace_quotes: bool = False,
) -> list[str]:
    """Tokenizes a text into pieces: the reference.

    Folds the text, runs SentencePiece and splits each piece that ends in a
    digit and a comma (`▁2019,` gives `▁2019` and `,`). Source:
    google-research/albert `tokenization.encode_pieces`.

    Args:
        processor: The SentencePiece model.
        text: The text.
        lowercase: See `normalize_text`.
        strip_accents: See `normalize_text`.
        replace_quotes: See `normalize_text`.

    Returns:
        The pieces. Text that the vocabulary does not know comes as it is, a
        run of it as one piece.
    """
    text = normalize_text(
        text,
        lowercase=lowercase,
        strip_accents=strip_accents,
        replace_quotes=replace_quotes,
    )
    pieces = []
    for piece in processor.encode(text, out_type=str):
        if _is_digit_comma(piece):
            pieces += _split_digit_comma(processor, piece)
        else:
            pieces.append(piece)
    return pieces


def encode_ids(
    processor: sentencepiece.SentencePieceProcessor,
    text: str,
    *,
    lowercase: bool = True,
    strip_accents: bool = True,
    replace_quotes: bool = False,
) -> list[int]:
    """Tokenizes a text into ids: `encode_pieces`, looked up.

    Unlike the original, text never gives the id of a control piece: where
    the string "[CLS]" is unknown to the vocabulary it is unknown, not the
    start of a sequence.

    Args:
        processor: The SentencePiece model.
        text: The text.
        lowercase: See `normalize_text`.
        strip_accents: See `normalize_text`.
        replace_quotes: See `normalize_text`.

    Returns:
        The ids, without special tokens.
    """
    pieces = encode_pieces(
        processor,
        text,
        lowercase=lowercase,
        strip_accents=strip_accents,
        replace_quotes=replace_quotes,
    )
    ids = processor.piece_to_id(pieces)
    return [processor.unk_id() if processor.is_control(i) else i for i in ids]


def _fold_characters(
    text: str, lowercase: bool, strip_accents: bool, replace_quotes: bool
) -> str:
    """Folds everything but white space."""
    if replace_quotes:
        text = text.replace("``", '"').replace("''", '"')
    if strip_accents:
        text = unicodedata.normalize("NFKD", text)
        text = "".join([c for c in text if not unicodedata.combining(c)])
    return text.lower() if lowercase else text


def _is_digit_comma(piece: str) -> bool:
    return len(piece) > 1 and piece[-1] == "," and piece[-2].isdigit()


def _split_digit_comma(
    processor: sentencepiece.SentencePieceProcessor, piece: str
) -> list[str]:
    """Splits the comma off and tokenizes the rest anew."""
    parts = processor.encode(piece[:-1].replace("▁", ""), out_type=str)
    if not piece.startswith("▁") and parts[0].startswith("▁"):
        # SentencePiece puts `▁` before each text; here the text goes on.
        parts = parts[1:] if parts[0] == "▁" else [parts[0][1:], *parts[1:]]
    return [*parts, ","]


# === The folded model ===


def fold_sentencepiece(
    model: bytes,
    *,
    lowercase: bool = True,
    strip_accents: bool = True,
    replace_quotes: bool = False,
    split_digit_commas: bool = True,
) -> bytes:
    """Puts ALBERT's whole normalization inside a SentencePiece model.

    The folding and the model's own normalizer are compiled into one table,
    and pieces of digits that end in a comma become CONTROL pieces, which
    text cannot produce. Ids stay what they were. `encode` of the result on
    raw text gives what `encode_ids` gives with the original model (the
    module's docstring names the exceptions), in each runtime that runs
    SentencePiece.

    Args:
        model: A SentencePiece model, serialized.
        lowercase: See `normalize_text`.
        strip_accents: See `normalize_text`.
        replace_quotes: See `normalize_text`.
        split_digit_commas: Whether pieces of digits that end in a comma are
            split, as the original does. `transformers` does not.

    Returns:
        The folded model, serialized. A model that is folded already is
        returned unchanged, whatever the other arguments say.

    Raises:
        TypeError: If `model` is not bytes.
        ValueError: If `model` is not a SentencePiece model.
    """
    proto = _parse(model)
    spec = proto.normalizer_spec
    if spec.name.startswith(_FOLDED_PREFIX):
        return model
    options = {
        "lowercase": lowercase,
        "strip_accents": strip_accents,
        "replace_quotes": replace_quotes,
    }
    alphabet = frozenset("".join([piece.piece for piece in proto.pieces]))
    spec.precompiled_charsmap = _folded_charsmap(
        spec.precompiled_charsmap, spec.name, alphabet, **options
    )
    flags = "+".join(name for name, on in options.items() if on)
    spec.name = f"{_FOLDED_PREFIX}{spec.name}:{flags or 'none'}"
    spec.remove_extra_whitespaces = True
    spec.ClearField("normalization_rule_tsv")
    for piece in proto.pieces:
        if (
            split_digit_commas
            and piece.type == _NORMAL
            and _is_digit_comma(piece.piece)
        ):
            piece.type = _CONTROL
        if piece.type == _USER_DEFINED and not _survives(
            piece.piece, **options
        ):
            # SentencePiece does not fold these, tensorflow-text does.
            piece.type = _CONTROL
    # Samples of how the model used to tokenize, checked when it is loaded.
    proto.ClearField("self_test_data")
    return proto.SerializeToString()


def _survives(piece: str, **options: bool) -> bool:
    text = piece.replace("▁", " ").strip()
    return normalize_text(text, **options) == text


def splitting_model(model: bytes) -> tuple[bytes, dict[int, list[str]]]:
    """The form of a folded model with which the reference is met exactly.

    In a folded model, text cannot produce a piece of digits that ends in a
    comma. The reference lets SentencePiece choose such a piece and splits it
    then; now and then that gives other pieces around it. What a piece is
    split into does not depend on the text, so that a table holds it.

    Args:
        model: A folded SentencePiece model, serialized.

    Returns:
        The model in which these pieces are chosen again, serialized, and for
        each of their ids the pieces that stand for it.

    Raises:
        TypeError: If `model` is not bytes.
        ValueError: If `model` is not a SentencePiece model.
    """
    proto = _parse(model)
    split = []
    for index, piece in enumerate(proto.pieces):
        if piece.type == _CONTROL and _is_digit_comma(piece.piece):
            piece.type = _NORMAL
            split.append((index, piece.piece))
    if not split:
        return model, {}
    serialized = proto.SerializeToString()
    processor = sentencepiece.SentencePieceProcessor(model_proto=serialized)
    return serialized, {
        index: _split_digit_comma(processor, piece) for index, piece in split
    }


def round_scores(model: bytes) -> bytes:
    """Makes ties between segmentations come out alike in every runtime.

    "!!!!" can be `!` `!!!` or `!!!` `!`, with the same score. Rounding
    errors of float32 sums decide then, and versions of SentencePiece sum up
    in different orders. Of multiples of 1/1024, sums are exact until they
    reach 16,384 (a text of some 2,000 pieces). For new vocabularies: a
    pretrained model has learned from segmentations by the exact scores.

    Args:
        model: A SentencePiece model, serialized.

    Returns:
        The model, each score moved by at most 1/2048.

    Raises:
        TypeError: If `model` is not bytes.
        ValueError: If `model` is not a SentencePiece model.
    """
    proto = _parse(model)
    for piece in proto.pieces:
        piece.score = round(piece.score * 1024) / 1024
    return proto.SerializeToString()


def is_folded(model: bytes) -> bool:
    """Tells whether `fold_sentencepiece` has been at this model.

    Args:
        model: A SentencePiece model, serialized.

    Raises:
        TypeError: If `model` is not bytes.
        ValueError: If `model` is not a SentencePiece model.
    """
    return _parse(model).normalizer_spec.name.startswith(_FOLDED_PREFIX)


def folding_of(model: bytes) -> dict[str, bool]:
    """Tells how a folded model folds.

    Args:
        model: A folded SentencePiece model, serialized.

    Returns:
        `lowercase`, `strip_accents` and `replace_quotes`, as
        `fold_sentencepiece` was given them; empty for a model that is not
        folded.

    Raises:
        TypeError: If `model` is not bytes.
        ValueError: If `model` is not a SentencePiece model.
    """
    name = _parse(model).normalizer_spec.name
    if not name.startswith(_FOLDED_PREFIX):
        return {}
    flags = name.rpartition(":")[2].split("+")
    return {
        option: option in flags
        for option in ("lowercase", "strip_accents", "replace_quotes")
    }


def normalization_rules(model: bytes) -> list[tuple[str, str]]:
    """The rules of a SentencePiece model's own normalizer.

    Args:
        model: A SentencePiece model, serialized.

    Returns:
        What is replaced and what replaces it, the longest match first.

    Raises:
        TypeError: If `model` is not bytes.
        ValueError: If `model` is not a SentencePiece model.
    """
    return _decompile(_parse(model).normalizer_spec.precompiled_charsmap)


def vocabulary_case(model: bytes) -> tuple[bool, bool]:
    """Finds out which folding a vocabulary was made for.

    Args:
        model: A SentencePiece model, serialized.

    Returns:
        `(lowercase, strip_accents)`. `lowercase` holds if no piece has an
        upper-case letter; `strip_accents` if, moreover, no piece has a
        letter that stripping would change, so that text with its accents off
        still finds every piece. Special pieces do not count.

    Raises:
        TypeError: If `model` is not bytes.
        ValueError: If `model` is not a SentencePiece model.
    """
    proto = _parse(model)
    letters = sorted(
        {
            c
            for piece in proto.pieces
            if piece.type == _NORMAL
            for c in piece.piece
            if c.isalpha()
        }
    )
    if any(c != c.lower() for c in letters):
        return False, False
    # A Hangul syllable is taken apart by NFKD and put together again by the
    # model's own normalizer: such letters are not changed in the end.
    stripped = _each(
        _own_normalizer(proto.normalizer_spec.precompiled_charsmap),
        [_fold_characters(c, False, True, False) for c in letters],
    )
    return True, stripped == letters


# === The compiled table ===


@functools.lru_cache(maxsize=8)
def _folded_charsmap(
    charsmap: bytes,
    name: str,
    alphabet: frozenset[str],
    lowercase: bool,
    strip_accents: bool,
    replace_quotes: bool,
) -> bytes:
    """Compiles folding, then the normalizer of `charsmap`, into one table.

    Folding is a map from single code points, and what a code point becomes
    is found by running the model's own normalizer on its folded form. Longer
    rules are added where a sequence becomes something else than its parts
    do: quotes, sigma, and what the model's normalizer composes.
    """
    folding = (lowercase, strip_accents, replace_quotes)
    if not any(folding):
        return charsmap
    rules = dict(_character_rules(charsmap, folding))
    sequences = _compositions(alphabet)
    if replace_quotes:
        sequences |= {"``", "''"}
    if lowercase:
        # Final, unless a longer rule sees that it is not.
        rules["Σ"] = _targets(["ς"], charsmap, folding)[0]
        sequences |= _sigma_in_context()
    if name not in _BUILT_IN_NORMALIZERS:
        for source, _ in _decompile(charsmap):
            # Folding brings other spellings to this one.
            sequences |= {source, source.upper(), source.title()}
    ordered = sorted(sequences)
    by_parts = ["".join([rules.get(c, c) for c in text]) for text in ordered]
    targets = _targets(ordered, charsmap, folding)
    for source, parts, target in zip(ordered, by_parts, targets, strict=True):
        if target != parts:
            rules[source] = target
    return _compile(list(rules.items()))


def _targets(
    texts: Sequence[str], charsmap: bytes, folding: tuple[bool, bool, bool]
) -> list[str]:
    """What folding, then the normalizer of `charsmap`, makes of each text."""
    folded = _each(
        lambda joined: _fold_characters(
            _WHITE_SPACE.sub(" ", joined), *folding
        ),
        texts,
    )
    return _each(_own_normalizer(charsmap), folded)


@functools.lru_cache(maxsize=8)
def _character_rules(
    charsmap: bytes, folding: tuple[bool, bool, bool]
) -> dict[str, str]:
    """The code points that become something else than themselves."""
    characters = [chr(code) for block in _CODE_POINTS for code in block]
    return {
        source: target
        for source, target in zip(
            characters, _targets(characters, charsmap, folding), strict=True
        )
        if source != target
    }


@functools.cache
def _decompositions() -> tuple[tuple[str, str], ...]:
    """Each code point that Unicode composes, and its parts."""
    characters = [chr(code) for block in _CODE_POINTS for code in block]
    decomposed = _each(
        lambda joined: unicodedata.normalize("NFD", joined), characters
    )
    return tuple(
        (whole, parts)
        for whole, parts in zip(characters, decomposed, strict=True)
        if len(parts) > 1
    )


def _compositions(alphabet: frozenset[str]) -> set[str]:
    """Sequences that canonical composition joins to one code point.

    Only those of which the vocabulary knows a part or the whole: of the
    others, parts and whole are one and the same unknown.
    """
    full_width: dict[str, list[str]] = {}
    for code in range(0xFF01, 0xFFEF):
        plain = unicodedata.normalize("NFKC", chr(code))
        full_width.setdefault(plain, []).append(chr(code))
    sequences = set()
    for whole, parts in _decompositions():
        if not alphabet.isdisjoint(whole + parts):
            # In full, and in one step: a letter with its first mark, then
            # the last mark; a Hangul syllable, then its final consonant.
            # Japanese is also typed with half-width letters and marks.
            start, last = unicodedata.normalize("NFC", parts[:-1]), parts[-1]
            sequences.add(parts)
            sequences.update(
                first + second
                for first in (start, *full_width.get(start, ()))
                for second in (last, *full_width.get(last, ()))
            )
    return sequences


def _sigma_in_context() -> set[str]:
    """Sequences that tell that a capital sigma does not end a word.

    Python lower-cases it to the final form at the end of a word, else to
    `σ`; a word of one letter has no end (Unicode, SpecialCasing.txt).
    """
    letters = [
        chr(code)
        for block in (
            range(0x41, 0x100),
            range(0x370, 0x400),
            range(0x1F00, 0x2000),
        )
        for code in block
        if chr(code).isalpha()
    ]
    before = [*" \t\n\r\u00a0", *'!"#$%&()*+,-/;<=>?@[\\]_{|}~0123456789']
    return {
        *("Σ" + letter for letter in letters),
        *("ΣΣ" + letter for letter in letters),
        "ΣΣ",
        *(character + "Σ" for character in before),
    }


def _each(function: Callable[[str], str], texts: Sequence[str]) -> list[str]:
    """Applies a function to each text, in one call."""
    return function(_SEPARATOR.join(texts)).split(_SEPARATOR)


# === SentencePiece's formats ===


def _own_normalizer(charsmap: bytes) -> Callable[[str], str]:
    """The normalizer of a table alone, which leaves white space alone."""
    if not charsmap:
        return str
    return _load_normalizer(charsmap).Normalize


def _load_normalizer(charsmap: bytes) -> sentencepiece.SentencePieceNormalizer:
    spec = _message_classes()["NormalizerSpec"](
        name="table", precompiled_charsmap=charsmap
    )
    return sentencepiece.SentencePieceNormalizer(
        normalizer_spec=spec.SerializeToString(),
        add_dummy_prefix=False,
        escape_whitespaces=False,
        remove_extra_whitespaces=False,
    )


def _decompile(charsmap: bytes) -> list[tuple[str, str]]:
    return _load_normalizer(charsmap).Decompile() if charsmap else []


def _compile(rules: list[tuple[str, str]]) -> bytes:
    # SentencePiece reports two lines on its work on stderr.
    sentencepiece.set_min_log_level(1)
    try:
        normalizer = sentencepiece.SentencePieceNormalizer(norm_map=rules)
    finally:
        sentencepiece.set_min_log_level(0)
    spec = _message_classes()["NormalizerSpec"]()
    spec.ParseFromString(normalizer.serialized_normalizer_spec())
    return spec.precompiled_charsmap


def _parse(model: bytes):
    """The model as a protobuf message.

    Raises:
        TypeError: If `model` is not bytes.
        ValueError: If `model` is not a SentencePiece model.
    """
    if not isinstance(model, bytes):
        raise TypeError(
            "`model` must be the bytes of a SentencePiece model. Received: "
            f"{type(model).__name__}. Read the file first: "
            "`pathlib.Path(path).read_bytes()`."
        )
    from google.protobuf.message import DecodeError

    proto = _message_classes()["ModelProto"]()
    try:
        proto.ParseFromString(model)
    except DecodeError:
        proto.Clear()
    if not proto.pieces:
        start = f" that start with {model[:16]!r}" if model else ""
        raise ValueError(
            "`model` must be a SentencePiece model, the content of a file "
            "such as `spiece.model`. Received: "
            f"{len(model)} bytes{start}. Check that the file was "
            "downloaded in full, and is not compressed, a text list of "
            "pieces, or a Git LFS pointer."
        )
    return proto


@functools.cache
def _message_classes() -> dict[str, type]:
    """The parts of sentencepiece_model.proto that are needed here.

    SentencePiece's own `sentencepiece_model_pb2` refuses to load where
    protobuf is older than the compiler it was made with (0.2.3 wants
    protobuf 7, while apache-beam wants 6). Fields that are not named here
    are kept as they are.
    """
    from google.protobuf import (
        descriptor_pb2,
        descriptor_pool,
        message_factory,
    )

    field = descriptor_pb2.FieldDescriptorProto
    messages = {
        "NormalizerSpec": (
            ("name", 1, field.TYPE_STRING),
            ("precompiled_charsmap", 2, field.TYPE_BYTES),
            ("remove_extra_whitespaces", 4, field.TYPE_BOOL),
            ("normalization_rule_tsv", 6, field.TYPE_STRING),
        ),
        "SentencePiece": (
            ("piece", 1, field.TYPE_STRING),
            ("score", 2, field.TYPE_FLOAT),
            ("type", 3, field.TYPE_INT32),
        ),
        "ModelProto": (
            ("pieces", 1, "SentencePiece"),
            ("normalizer_spec", 3, "NormalizerSpec"),
            ("self_test_data", 4, field.TYPE_BYTES),
        ),
    }
    file = descriptor_pb2.FileDescriptorProto(
        name="model.proto", package="keras_albert", syntax="proto2"
    )
    for message, fields in messages.items():
        descriptor = file.message_type.add(name=message)
        for name, number, kind in fields:
            added = descriptor.field.add(
                name=name, number=number, label=field.LABEL_OPTIONAL
            )
            if isinstance(kind, str):
                added.type = field.TYPE_MESSAGE
                added.type_name = f".keras_albert.{kind}"
            else:
                added.type = kind
            if name == "pieces":
                added.label = field.LABEL_REPEATED
            if message == "SentencePiece" and name == "type":
                added.default_value = str(_NORMAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        message: message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"keras_albert.{message}")
        )
        for message in messages
    }
