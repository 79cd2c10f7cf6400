"""The SentencePiece tokenizer that all tasks share."""

import keras
import keras_nlp

from keras_albert.models.backbone import AlbertBackbone
from keras_albert.preprocessing.normalizer import (
    fold_sentencepiece,
    vocabulary_case,
)
from keras_albert.presets.loading import (
    TOKENIZER_FILE,
    PreprocessingPresetMixin,
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
        **kwargs: `sequence_length`, `dtype` and others, see
            `keras_nlp.tokenizers.SentencePieceTokenizer`.

    Call arguments:
        inputs: a string, a list or a tensor of strings.

    Returns:
        Token ids, int32: `(tokens,)` for a string, ragged
        `(batch, tokens)` for several.

    Raises:
        ValueError: if `proto` is no SentencePiece model, or lacks one of the
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

    def __init__(
        self, proto=None, lowercase=None, strip_accents=None, **kwargs
    ):
        self.lowercase = lowercase
        self.strip_accents = strip_accents
        self._add_special_token("[CLS]", "cls_token")
        self._add_special_token("[SEP]", "sep_token")
        self._add_special_token("<pad>", "pad_token")
        self._add_special_token("[MASK]", "mask_token")
        # The names that KerasHub's packers and preprocessors ask for.
        self._add_special_token("[CLS]", "start_token")
        self._add_special_token("[SEP]", "end_token")
        super().__init__(proto=proto, **kwargs)

    def set_proto(self, proto):
        """Takes a SentencePiece model, and folds it unless it is folded.

        Args:
            proto: bytes, the path of a file, or `None`.
        """
        if isinstance(proto, bytes):
            proto = self._fold(proto)
        super().set_proto(proto)
        if self.proto is not None:
            folded = self._fold(self.proto)
            if folded != self.proto:
                super().set_proto(folded)

    def _fold(self, model):
        lowercase, strip_accents = vocabulary_case(model)
        if self.lowercase is None:
            self.lowercase = lowercase
        if self.strip_accents is None:
            self.strip_accents = strip_accents and self.lowercase
        return fold_sentencepiece(
            model,
            lowercase=self.lowercase,
            strip_accents=self.strip_accents,
        )

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "lowercase": self.lowercase,
                "strip_accents": self.strip_accents,
            }
        )
        return config
