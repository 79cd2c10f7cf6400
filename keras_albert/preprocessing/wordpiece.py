"""The WordPiece tokenizer of ALBERTs with a BERT vocabulary, as Chinese ones.

Source: google-research/bert `tokenization.py` (`BasicTokenizer`,
`WordpieceTokenizer`), which `transformers` follows.
"""

import functools
import os
import unicodedata

import keras
import keras_nlp

from keras_albert.checkpoints.wordpiece import read_vocabulary
from keras_albert.models.backbone import AlbertBackbone
from keras_albert.presets.loading import (
    TOKENIZER_FILE,
    PreprocessingPresetMixin,
)

# What `keras_nlp` calls it in a preset's folder.
VOCABULARY_FILE = "vocabulary.txt"


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertWordPieceTokenizer(
    PreprocessingPresetMixin, keras_nlp.tokenizers.WordPieceTokenizer
):
    """BERT's tokenizer, for ALBERTs that were pretrained with its vocabulary.

    `keras_nlp`'s WordPiece after the original's cleaning, which it lacks:
    control characters go, each kind of space is one, letters are lower-cased
    as the original does. Loaded by `AlbertTokenizer.from_preset`, and by the
    preprocessors, from folders with a `vocab.txt`.

    Args:
        vocabulary: list of strings, or the path of a file with one a line.
            It must hold `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]` and `[MASK]`.
        do_lower_case: bool. Whether letters are lower-cased.
        strip_accents: bool or `None`. Whether accents are dropped. `None`:
            when letters are lower-cased.
        split_on_cjk: bool. Whether each Chinese character is a word.
        **kwargs: `sequence_length`, `dtype` and others, see
            `keras_nlp.tokenizers.WordPieceTokenizer`.

    Call arguments:
        inputs: a string, a list or a tensor of strings.

    Returns:
        Token ids, int32: `(tokens,)` for a string, ragged
        `(batch, tokens)` for several.

    Raises:
        ValueError: if the vocabulary lacks one of the special tokens.

    Example:
    ```python
    from keras_albert.preprocessing.wordpiece import AlbertWordPieceTokenizer

    tokenizer = AlbertWordPieceTokenizer(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "我", "al", "##bert"]
    )
    tokenizer("我 ALBERT")  # [5, 6, 7]
    ```
    """

    backbone_cls = AlbertBackbone
    preset_file = TOKENIZER_FILE

    def __init__(
        self,
        vocabulary=None,
        do_lower_case=True,
        strip_accents=None,
        split_on_cjk=True,
        **kwargs,
    ):
        self.do_lower_case = do_lower_case
        self.drop_accents = (
            do_lower_case if strip_accents is None else strip_accents
        )
        for token, names in (
            ("[CLS]", ("cls_token", "start_token")),
            ("[SEP]", ("sep_token", "end_token")),
            ("[PAD]", ("pad_token",)),
            ("[MASK]", ("mask_token",)),
        ):
            for name in names:
                self._add_special_token(token, name)
        # Case and accents are folded here, before its split.
        super().__init__(
            vocabulary=vocabulary,
            lowercase=False,
            strip_accents=False,
            split_on_cjk=split_on_cjk,
            **kwargs,
        )
        # It has no weights; `quantize` refuses layers that are not built.
        self.built = True

    def load_assets(self, dir_path):
        """Reads the vocabulary of a preset.

        Args:
            dir_path: string, the folder of the tokenizer's files.
        """
        self.set_vocabulary(
            read_vocabulary(os.path.join(dir_path, VOCABULARY_FILE))
        )

    @property
    def unknown_token_id(self):
        """int, the id of the unknown token."""
        return self.token_to_id(self.oov_token)

    def tokenize(self, inputs):
        """Tokenizes strings; see the class. Graphs and Python give the same.

        Args:
            inputs: a string, a list or a tensor of strings.

        Returns:
            int32 ids, ragged `(batch, tokens)`.
        """
        if self._use_tf_workflow():
            return super().tokenize(self._clean_in_graph(inputs))
        return super().tokenize(self._clean(inputs))

    def _clean(self, inputs):
        if isinstance(inputs, bytes):
            inputs = inputs.decode()
        if isinstance(inputs, str):
            text = inputs.translate(_CLEANED)
            if self.drop_accents:
                text = unicodedata.normalize("NFD", text)
            return text.translate(
                _letters(self.do_lower_case, self.drop_accents)
            )
        if isinstance(inputs, list | tuple):
            return [self._clean(text) for text in inputs]
        return self._clean(keras.ops.convert_to_numpy(inputs).tolist())

    def _clean_in_graph(self, inputs):
        import tensorflow as tf
        import tensorflow_text as tf_text

        # Control characters but tab and the two ends of lines.
        text = tf.strings.regex_replace(
            inputs, r"[^\P{Cc}\t\n\r]|[\p{Cf}\p{Co}\x{FFFD}]", ""
        )
        text = tf.strings.regex_replace(text, r"[\t\n\r\p{Z}]", " ")
        if self.drop_accents:
            text = tf_text.normalize_utf8(text, "NFD")
            text = tf.strings.regex_replace(text, r"\p{Mn}", "")
        if self.do_lower_case:
            # Letter by letter, which knows no final sigma.
            text = tf.strings.regex_replace(text, "Σ", "σ")
            text = tf.strings.lower(text, encoding="utf-8")
        return text

    def get_config(self):
        config = super().get_config()
        del config["lowercase"]
        config.update(
            {
                "do_lower_case": self.do_lower_case,
                "strip_accents": self.drop_accents,
                "split_on_cjk": self.split_on_cjk,
            }
        )
        return config


class _Cleaned(dict):
    """For `str.translate`: no control characters, one kind of space."""

    def __missing__(self, code):
        character = chr(code)
        category = unicodedata.category(character)
        if character in "\t\n\r" or category[0] == "Z":
            value = " "
        elif category in ("Cc", "Cf", "Co") or code == 0xFFFD:
            value = ""
        else:
            value = character
        self[code] = value
        return value


class _Letters(dict):
    """For `str.translate`: letters without accents, in lower case."""

    def __init__(self, do_lower_case, drop_accents):
        super().__init__()
        self.do_lower_case = do_lower_case
        self.drop_accents = drop_accents

    def __missing__(self, code):
        value = chr(code)
        if self.drop_accents and unicodedata.category(value) == "Mn":
            value = ""
        elif self.do_lower_case:
            value = value.lower()
        self[code] = value
        return value


_CLEANED = _Cleaned()
# No attribute of the layer: Keras makes plain dictionaries of those.
_letters = functools.cache(_Letters)
