"""The SentencePiece tokenizer that all tasks share."""

import os

import keras
import keras_nlp
import numpy as np

from keras_albert.checkpoints.sentencepiece_model import (
    UNIGRAM,
    read_options,
)
from keras_albert.models.backbone import AlbertBackbone
from keras_albert.preprocessing.normalizer import (
    fold_sentencepiece,
    folding_of,
    splitting_model,
    vocabulary_case,
)
from keras_albert.preprocessing.offsets import spans_of_pieces
from keras_albert.preprocessing.wordpiece import AlbertWordPieceTokenizer
from keras_albert.presets.loading import (
    TOKENIZER_FILE,
    PreprocessingPresetMixin,
)

# With others, tensorflow-text's FastSentencepiece, and so each graph and
# device, gives other ids than SentencePiece, without a word.
_EXPECTED_OPTIONS = {
    "model_type": (UNIGRAM, "segment by Unigram, as ALBERT's; not BPE"),
    "byte_fallback": (0, "have no byte fallback"),
    "treat_whitespace_as_suffix": (0, "put white space before words"),
}


def _check_segmentation(options):
    for option, (expected, what) in _EXPECTED_OPTIONS.items():
        if options[option] != expected:
            raise ValueError(
                f"The SentencePiece model must {what}. Received one with "
                f"`{option}` {options[option]}, whose ids would not be the "
                "same in graphs and on devices. Train a vocabulary of that "
                "kind."
            )


def _with_unknown(inputs):
    """The texts, with a character that no vocabulary has for invalid bytes.

    tensorflow-text takes these for unknown characters, too.
    """
    if isinstance(inputs, bytes):
        text = inputs.decode("utf-8", "surrogateescape")
        return "".join("\ue000" if _is_surrogate(c) else c for c in text)
    if isinstance(inputs, list | tuple):
        return [_with_unknown(text) for text in inputs]
    if isinstance(inputs, str):
        return inputs
    return _with_unknown(keras.ops.convert_to_numpy(inputs).tolist())


def _is_surrogate(character):
    return "\ud800" <= character <= "\udfff"


def _check_unicode(texts):
    texts = [texts] if isinstance(texts, str) else texts
    for index, text in enumerate(texts):
        if isinstance(text, str) and any(map(_is_surrogate, text)):
            raise ValueError(
                "Texts must be valid Unicode. Received at index "
                f"{index}: {text!r:.80}, with half of a surrogate pair; "
                'mend it with `text.encode("utf-16", "surrogatepass")'
                '.decode("utf-16", "replace")`.'
            )


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertTokenizer(
    PreprocessingPresetMixin, keras_nlp.tokenizers.SentencePieceTokenizer
):
    """ALBERT's tokenizer: folding, then SentencePiece.

    The original folds a text before SentencePiece sees it: white space is
    collapsed, compatibility forms are decomposed (NFKD), accents dropped,
    letters lower-cased (`preprocess_text` in google-research/albert
    `tokenization.py`). Here the folding is compiled into the SentencePiece
    model itself, so that Python, `tf.data` graphs, and runtimes on a phone
    that only know SentencePiece all give the same ids. The folded model is
    also what is saved.

    Args:
        proto: bytes of a SentencePiece model, or the path of its file. Its
            vocabulary must hold `[CLS]`, `[SEP]`, `<pad>` and `[MASK]`.
        lowercase: bool or `None`. Whether letters are lower-cased. `None`:
            when the vocabulary holds no upper-case letter.
        strip_accents: bool or `None`. Whether accents are dropped. `None`:
            when letters are lower-cased and the vocabulary has no accents.
        replace_quotes: bool. Whether two grave accents or two apostrophes
            become one double quote. Hugging Face's tokenizers do this.
        split_digit_commas: bool. Whether pieces of digits that end in a comma
            are split (`▁2019,` into `▁2019` `,`). Hugging Face's tokenizers
            do not do this. A model that is folded already keeps the way that
            it was folded, whatever these four arguments say.
        **kwargs: `sequence_length`, `dtype` and others, see
            `keras_nlp.tokenizers.SentencePieceTokenizer`.

    Call arguments:
        inputs: a string, a list or a tensor of strings.

    Returns:
        Token ids, int32: `(tokens,)` for a string, ragged
        `(batch, tokens)` for several.

    Raises:
        ValueError: if `proto` is no SentencePiece model, segments otherwise
            than ALBERT's (see `_EXPECTED_OPTIONS`), or lacks one of the
            special tokens.

    Example:
    ```python
    import keras_albert as ka

    tokenizer = ka.AlbertTokenizer.from_preset("albert_tiny_en")
    ids = tokenizer(["Wake me at seven", "Café"])
    tokenizer.detokenize(ids)  # ["wake me at seven", "cafe"]
    ```
    """

    backbone_cls = AlbertBackbone
    preset_file = TOKENIZER_FILE
    wordpiece_cls = AlbertWordPieceTokenizer

    def __init__(
        self,
        proto=None,
        lowercase=None,
        strip_accents=None,
        replace_quotes=False,
        split_digit_commas=True,
        **kwargs,
    ):
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self.replace_quotes = replace_quotes
        self.split_digit_commas = split_digit_commas
        length = kwargs.get("sequence_length")
        if length is not None and (type(length) is not int or length < 1):
            raise ValueError(
                "`sequence_length` must be a positive integer or `None`. "
                f"Received: {length!r}."
            )
        self._add_special_token("[CLS]", "cls_token")
        self._add_special_token("[SEP]", "sep_token")
        self._add_special_token("<pad>", "pad_token")
        self._add_special_token("[MASK]", "mask_token")
        # The names that KerasHub's packers and preprocessors ask for.
        self._add_special_token("[CLS]", "start_token")
        self._add_special_token("[SEP]", "end_token")
        super().__init__(proto=proto, **kwargs)
        # It has no weights; `quantize` refuses layers that are not built.
        self.built = True

    def set_proto(self, proto):
        """Takes a SentencePiece model, and folds it unless it is folded.

        Args:
            proto: bytes, the path of a file, or `None`.
        """
        self._splits, self._split_pieces = {}, {}
        self._fast_tokenizer = None
        self._read_proto(proto)
        if self.proto is None:
            return
        _check_segmentation(read_options(self.proto))
        self._check_ends()
        folded = self._fold(self.proto)
        splitting, self._split_pieces = splitting_model(folded)
        if splitting != self.proto:
            super().set_proto(splitting)
        self._splits = {
            index: [self.token_to_id(piece) for piece in pieces]
            for index, pieces in self._split_pieces.items()
        }
        # What is saved is for runtimes that know nothing but SentencePiece.
        self.proto = folded
        self._set_fast_tokenizer(splitting)

    def _read_proto(self, proto):
        if isinstance(proto, bytes):
            folding_of(proto)  # Raises where it is no model.
        elif isinstance(proto, os.PathLike):
            proto = os.fspath(proto)
        try:
            super().set_proto(proto)  # Reads a path where Keras allows it.
        except (OSError, ValueError):
            raise
        except Exception as error:
            # What the runtimes raise has no common class.
            raise ValueError(
                "`proto` must be a SentencePiece model or the path of its "
                f"file. Received: {proto!r:.200}, which is none."
            ) from error

    def _check_ends(self):
        processor = self._sentence_piece_spm
        for option, index in (
            ("add_bos", processor.bos_id()),
            ("add_eos", processor.eos_id()),
        ):
            if getattr(self, option) and index < 0:
                raise ValueError(
                    f"`{option}` needs a vocabulary with such a token of its "
                    "own. This one, as ALBERT's, has none; the preprocessors "
                    "add `[CLS]` and `[SEP]`."
                )

    def _set_fast_tokenizer(self, model):
        try:
            import tensorflow as tf
            import tensorflow_text as tf_text
        except ImportError:
            return  # Python tokenizes; graphs say what they need when traced.
        with tf.init_scope():
            self._fast_tokenizer = tf_text.FastSentencepieceTokenizer(
                model, add_bos=self.add_bos, add_eos=self.add_eos
            )
            self._split_table = None
            if self._splits:
                self._split_table = tf.ragged.constant(
                    [
                        self._splits.get(index, [index])
                        for index in range(self.vocabulary_size())
                    ],
                    dtype=tf.int32,
                )

    @property
    def unknown_token_id(self):
        """int, the id of the unknown token."""
        self._check_vocabulary()
        self._maybe_initialized_spm()
        return self._sentence_piece_spm.unk_id()

    def tokenize(self, inputs):
        """Tokenizes strings; see the class. Graphs and Python give the same.

        In graphs it is tensorflow-text's FastSentencepiece, the one that
        LiteRT has, too: its `SentencepieceTokenizer` settles ties between
        segmentations ("!!!!") otherwise than the `sentencepiece` package.

        Args:
            inputs: a string, a list or a tensor of strings.

        Returns:
            int32 ids, ragged `(batch, tokens)`.
        """
        if "int" not in self.compute_dtype:
            return super().tokenize(inputs)  # Pieces, for people to look at.
        if self._use_tf_workflow():
            self._check_vocabulary()
            return self._tokenize_in_graph(inputs)
        if self._splits and self.sequence_length:
            # Truncated and padded after the splits, not before.
            return self._tokenize_in_graph(inputs).numpy()
        try:
            ids = super().tokenize(inputs)
        except UnicodeDecodeError:
            ids = super().tokenize(_with_unknown(inputs))
        except TypeError:
            _check_unicode(inputs)
            raise
        if not self._splits:
            return ids
        if isinstance(ids, list):
            return [self._split(row) for row in ids]
        return np.array(self._split(ids.tolist()), dtype=self.compute_dtype)

    def tokenize_with_offsets(self, texts):
        """Tokenizes strings, and tells where in them each token stands.

        Args:
            texts: a string, or a list of strings.

        Returns:
            The ids that `tokenize` gives, and as many `(start, end)`:
            `text[start:end]` is what the token was made from, in characters
            of the string as it was given, without white space. For a string
            a list of each, for a list a list of such lists. A character
            that becomes several tokens (`½`) is in the span of each; an
            accent of its own belongs to the character before it; a token
            that is a space and nothing else (`▁`) has an empty span. Neither
            special tokens nor padding are added.

        Raises:
            ValueError: if an item is no string.

        Example:
        ```python
        import keras_albert as ka

        tokenizer = ka.AlbertTokenizer.from_preset("albert_tiny_en")
        ids, spans = tokenizer.tokenize_with_offsets("Déjà vu")
        ```
        """
        self._check_vocabulary()
        single = isinstance(texts, str)
        if not single and not isinstance(texts, list | tuple | np.ndarray):
            raise ValueError(
                "Texts must be a string or a list of strings to have offsets. "
                f"Received: {texts!r:.80}."
            )
        texts = [texts] if single else list(texts)
        for index, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(
                    "Texts must be strings to have offsets. Received at "
                    f"index {index}: {text!r:.80}."
                )
        _check_unicode(texts)
        self._maybe_initialized_spm()
        processor = self._sentence_piece_spm
        plain = {"add_bos": False, "add_eos": False}
        ids = processor.encode(texts, out_type=int, **plain)
        pieces = processor.encode(texts, out_type=str, **plain)
        # A rule may look at the letters around a capital sigma. Small, it
        # has a rule of its own, and the place of each letter shows.
        if self.lowercase:
            texts = [text.replace("Σ", "σ") for text in texts]
        spans = [
            spans_of_pieces(self._split_surfaces(*row), origins)
            for *row, (_, origins) in zip(
                ids,
                pieces,
                processor.normalize(texts, with_offsets=True),
                strict=True,
            )
        ]
        ids = [self._split(row) for row in ids]
        return (ids[0], spans[0]) if single else (ids, spans)

    def _split_surfaces(self, ids, pieces):
        splits = self._split_pieces
        if splits.keys().isdisjoint(ids):
            return pieces
        return [
            part
            for i, piece in zip(ids, pieces, strict=True)
            for part in splits.get(i, (piece,))
        ]

    def _split(self, ids):
        splits = self._splits
        if splits.keys().isdisjoint(ids):
            return ids
        return [part for i in ids for part in splits.get(i, (i,))]

    def _tokenize_in_graph(self, inputs):
        import tensorflow as tf

        if self._fast_tokenizer is None:
            raise ImportError(
                "Tokenizing in a `tf.data` pipeline or a graph needs "
                "`tensorflow-text`. Install it, or pass lists of strings."
            )
        inputs = tf.convert_to_tensor(inputs)
        unbatched = inputs.shape.rank == 0
        ids = self._fast_tokenizer.tokenize(
            tf.expand_dims(inputs, 0) if unbatched else inputs
        ).with_row_splits_dtype(tf.int64)
        if self._split_table is not None:
            ids = tf.gather(self._split_table, ids).merge_dims(-2, -1)
        ids = tf.cast(ids, self.compute_dtype)
        if self.sequence_length:
            ids = ids.to_tensor(
                default_value=self.pad_token_id,
                shape=[None] * (ids.shape.rank - 1) + [self.sequence_length],
            )
        return ids[0] if unbatched else ids

    def _fold(self, model):
        for option, value in folding_of(model).items():
            setattr(self, option, value)
        lowercase, strip_accents = vocabulary_case(model)
        if self.lowercase is None:
            self.lowercase = lowercase
        if self.strip_accents is None:
            self.strip_accents = strip_accents and self.lowercase
        return fold_sentencepiece(
            model,
            lowercase=self.lowercase,
            strip_accents=self.strip_accents,
            replace_quotes=self.replace_quotes,
            split_digit_commas=self.split_digit_commas,
        )

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "lowercase": self.lowercase,
                "strip_accents": self.strip_accents,
                "replace_quotes": self.replace_quotes,
                "split_digit_commas": self.split_digit_commas,
            }
        )
        return config
