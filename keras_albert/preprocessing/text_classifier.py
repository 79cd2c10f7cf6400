"""From one or two texts to the inputs of a text classifier."""

import keras
import keras_nlp

from keras_albert.models.backbone import AlbertBackbone
from keras_albert.preprocessing.packer import pack_segments, python_ids
from keras_albert.preprocessing.tokenizer import AlbertTokenizer
from keras_albert.presets.loading import (
    PREPROCESSOR_FILE,
    PreprocessingPresetMixin,
)


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertTextClassifierPreprocessor(
    PreprocessingPresetMixin, keras_nlp.models.TextClassifierPreprocessor
):
    """Tokenizes and packs one or two texts as `[CLS] A [SEP] B [SEP]`.

    Args:
        tokenizer: an `AlbertTokenizer`.
        sequence_length: int. Length of the packed sequences, in tokens.
        truncate: `"round_robin"` or `"waterfall"`: how two texts share a
            sequence that is too short, see
            `keras_nlp.layers.MultiSegmentPacker`.
        **kwargs: See `keras_nlp.models.TextClassifierPreprocessor`.

    Call arguments:
        x: a string, a list or tensor of strings, or a tuple of two of these
            for pairs.
        y: labels, passed through.
        sample_weight: weights, passed through.

    Returns:
        A dictionary of `"token_ids"`, `"segment_ids"` and `"padding_mask"`,
        each `(batch, sequence_length)`; with `y` and `sample_weight` in a
        tuple when they were given.

    Example:
    ```python
    import keras_albert as ka

    preprocessor = ka.AlbertTextClassifierPreprocessor.from_preset(
        "albert_tiny_en", sequence_length=16
    )
    preprocessor(["Is it raining?"])["token_ids"].shape  # (1, 16)
    preprocessor((["A man sleeps."], ["A man is awake."]))
    ```
    """

    backbone_cls = AlbertBackbone
    tokenizer_cls = AlbertTokenizer
    preset_file = PREPROCESSOR_FILE

    def __init__(
        self,
        tokenizer,
        sequence_length=512,
        truncate="round_robin",
        **kwargs,
    ):
        if sequence_length < 4:
            raise ValueError(
                "`sequence_length` must be at least 4, to hold two texts and "
                f"the special tokens. Received: {sequence_length}."
            )
        if truncate not in ("round_robin", "waterfall"):
            raise ValueError(
                "`truncate` must be 'round_robin' or 'waterfall'. Received: "
                f"{truncate!r}."
            )
        super().__init__(
            tokenizer=tokenizer,
            sequence_length=sequence_length,
            truncate=truncate,
            **kwargs,
        )

    def pack_texts(self, texts):
        """What a call gives, as NumPy arrays, without Keras's bookkeeping.

        Args:
            texts: list of strings, or a tuple of two such lists.

        Returns:
            The dictionary of features, see the class.
        """
        sides = texts if isinstance(texts, tuple) else (texts,)
        segments = tuple(python_ids(self.tokenizer, side) for side in sides)
        return pack_segments(
            segments, self.tokenizer, self.sequence_length, self.truncate
        )
