"""From texts to masked tokens."""

import keras
import keras_nlp
import numpy as np
import tensorflow as tf

from keras_albert.models.backbone import AlbertBackbone
from keras_albert.preprocessing.masked_text import tokenize_masked
from keras_albert.preprocessing.masking import WholeWordMasker
from keras_albert.preprocessing.packer import pack_segments, python_ids
from keras_albert.preprocessing.tokenizer import AlbertTokenizer
from keras_albert.presets.loading import (
    PREPROCESSOR_FILE,
    PreprocessingPresetMixin,
)


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertMaskedLMPreprocessor(
    PreprocessingPresetMixin, keras_nlp.models.Preprocessor
):
    """Tokenizes and packs one or two texts, and masks words of them.

    The arguments are those of `keras_nlp.models.MaskedLMPreprocessor` where
    they fit. What is masked is whole words, in n-grams, as ALBERT was
    pretrained, see `keras_albert.preprocessing.masking.WholeWordMasker`. How
    many positions are kept for masks follows from `mask_selection_rate`, so
    that there is no `mask_selection_length`.

    Args:
        tokenizer: an `AlbertTokenizer`.
        sequence_length: int. Length of the packed sequences, in tokens.
        truncate: `"round_robin"` or `"waterfall"`: how two texts share a
            sequence that is too short.
        mask_selection_rate: float, the part of tokens that is masked.
        mask_token_rate: float, the part of masked tokens that is replaced by
            `[MASK]`.
        random_token_rate: float, the part that is replaced by random tokens.
        max_ngram: int, words of the longest n-gram.
        seed: int. Each call draws anew, so that each epoch of `fit` sees
            other masks; the first call, the second and so on give the same
            each time that an instance is made.
        **kwargs: See `keras_nlp.models.Preprocessor`.

    Call arguments:
        x: a string, a list or tensor of strings, or a tuple of two of these
            for pairs.
        y: `None`, since the targets are the masked tokens; strings are the
            second texts of pairs.
        sample_weight: `(batch,)` float or `None`, weights of the texts.

    Returns:
        A tuple of
        - inputs: a dictionary of `"token_ids"`, `"segment_ids"` and
          `"padding_mask"`, each `(batch, sequence_length)`, and
          `"mask_positions"` `(batch, masks)`, int32;
        - targets: `(batch, masks)` int32, the tokens that were there;
        - sample weights: `(batch, masks)` float32, 0 where there is no mask.

    Raises:
        ValueError: if an argument is out of range, or targets are given.

    Example:
    ```python
    import keras_albert as ka

    preprocessor = ka.AlbertMaskedLMPreprocessor.from_preset(
        "albert_tiny_en", sequence_length=32
    )
    x, y, sample_weight = preprocessor(["It rained all night."])
    x["token_ids"].shape, y.shape  # (1, 32), (1, 5)
    ```
    """

    backbone_cls = AlbertBackbone
    tokenizer_cls = AlbertTokenizer
    preset_file = PREPROCESSOR_FILE
    takes_texts = False  # It draws masks of them.

    def __init__(
        self,
        tokenizer,
        sequence_length=512,
        truncate="round_robin",
        mask_selection_rate=0.15,
        mask_token_rate=0.8,
        random_token_rate=0.1,
        max_ngram=3,
        seed=0,
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
        super().__init__(**kwargs)
        self.packer = None
        self.tokenizer = tokenizer
        self.sequence_length = sequence_length
        self.truncate = truncate
        self.mask_selection_rate = mask_selection_rate
        self.mask_token_rate = mask_token_rate
        self.random_token_rate = random_token_rate
        self.max_ngram = max_ngram
        self.seed = seed
        self._calls = None

    def build(self, input_shape):
        # Once the tokenizer has its vocabulary, which a preset loads later.
        self.packer = keras_nlp.layers.MultiSegmentPacker(
            start_value=self.tokenizer.cls_token_id,
            end_value=self.tokenizer.sep_token_id,
            pad_value=self.tokenizer.pad_token_id,
            truncate=self.truncate,
            sequence_length=self.sequence_length,
        )
        self.masker = WholeWordMasker(
            self.tokenizer,
            mask_rate=self.mask_selection_rate,
            max_ngram=self.max_ngram,
            mask_token_rate=self.mask_token_rate,
            random_token_rate=self.random_token_rate,
        )
        with tf.init_scope():
            self._calls = tf.Variable(0, dtype=tf.int32, trainable=False)
        super().build(input_shape)

    def call(self, x, y=None, sample_weight=None):
        texts = x if isinstance(x, tuple) else (x,)
        if y is not None:
            # KerasHub takes a tuple apart, as texts and their targets.
            texts = (*texts, y)
        texts = tuple(tf.convert_to_tensor(text) for text in texts)
        if len(texts) > 2 or any(text.dtype != tf.string for text in texts):
            raise ValueError(
                "`x` must be texts, or a tuple of two lists of texts, without "
                "targets: these are the tokens that get masked. Received: "
                f"x={x!r:.100}, y={y!r:.100}."
            )
        is_single = texts[0].shape.rank == 0
        if is_single:
            texts = tuple(text[None] for text in texts)
        outputs = self._examples(*self._pack(texts), sample_weight)
        if is_single:
            outputs = tf.nest.map_structure(lambda x: x[0], outputs)
        if tf.executing_eagerly():
            outputs = tf.nest.map_structure(lambda x: x.numpy(), outputs)
        return outputs

    def _pack(self, texts):
        if not tf.executing_eagerly():
            segments = tuple(self.tokenizer(text) for text in texts)
            return self.packer(segments)
        packed = self.pack_ids(
            tuple(python_ids(self.tokenizer, text.numpy()) for text in texts)
        )
        return packed["token_ids"], packed["segment_ids"]

    def _examples(self, token_ids, segment_ids, sample_weight):
        seed = tf.constant([self.seed, 0], tf.int32)
        seed = tf.random.fold_in(seed, self._calls.assign_add(1))
        masked = self.masker(token_ids, seed)
        is_token = tf.not_equal(token_ids, self.tokenizer.pad_token_id)
        inputs = {
            "token_ids": masked["token_ids"],
            "segment_ids": tf.cast(segment_ids, tf.int32),
            "padding_mask": tf.cast(is_token, tf.int32),
            "mask_positions": masked["mask_positions"],
        }
        weights = masked["mask_weights"]
        if sample_weight is not None:
            sample_weight = tf.cast(sample_weight, tf.float32)
            weights *= tf.reshape(sample_weight, [-1, 1])
        return inputs, masked["mask_ids"], weights

    def pack_masked(self, texts):
        """Packs texts in which the masks are written, as `[MASK]`.

        Args:
            texts: list of strings, or of pairs of strings as 2-tuples.

        Returns:
            The dictionary of inputs, NumPy arrays, with as many
            `"mask_positions"` as the text with most masks has, and the
            number of masks in each text, `(texts,)` int.

        Raises:
            ValueError: if a text has no mask, or one is cut off.
        """
        mask = self.tokenizer.mask_token
        pairs = [text if isinstance(text, tuple) else (text,) for text in texts]
        counts = np.array([sum(p.count(mask) for p in pair) for pair in pairs])
        if not counts.all():
            index = int(np.argmin(counts))
            raise ValueError(
                f"Each text must hold {mask}, in capitals, where a token is "
                f"to be filled in. Received at index {index}: "
                f"{texts[index]!r:.80}."
            )
        segments = tuple(
            [tokenize_masked(self.tokenizer, text) for text in side]
            for side in zip(*pairs, strict=True)
        )
        features = self.pack_ids(segments)
        is_mask = features["token_ids"] == self.tokenizer.mask_token_id
        missing = counts - is_mask.sum(axis=1)
        if missing.any():
            index = int(np.argmax(missing))
            tokens = sum(len(side[index]) for side in segments)
            raise ValueError(
                f"Each {mask} must be within the `sequence_length` of "
                f"{self.sequence_length} tokens. The text at index {index} "
                f"has {tokens} and the special ones, and "
                f"{missing[index]} of its masks would be cut off: "
                f"{texts[index]!r:.80}. Shorten it, or raise "
                "`sequence_length` up to the backbone's `max_sequence_length`."
            )
        slots = np.zeros((len(texts), counts.max()), "int32")
        slots[np.arange(counts.max()) < counts[:, None]] = is_mask.nonzero()[1]
        return {**features, "mask_positions": slots}, counts

    def pack_ids(self, segments):
        """Packs token ids.

        Args:
            segments: tuple of one or two lists of lists of ids.

        Returns:
            dictionary of `"token_ids"`, `"segment_ids"` and
            `"padding_mask"`, `(texts, sequence_length)` int32 arrays.
        """
        packed = pack_segments(
            segments, self.tokenizer, self.sequence_length, self.truncate
        )
        return {name: x.astype("int32") for name, x in packed.items()}

    @property
    def sequence_length(self):
        """The length of packed sequences, in tokens."""
        return self._sequence_length

    @sequence_length.setter
    def sequence_length(self, value):
        self._sequence_length = value
        if self.packer is not None:
            self.packer.sequence_length = value

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "sequence_length": self.sequence_length,
                "truncate": self.truncate,
                "mask_selection_rate": self.mask_selection_rate,
                "mask_token_rate": self.mask_token_rate,
                "random_token_rate": self.random_token_rate,
                "max_ngram": self.max_ngram,
                "seed": self.seed,
            }
        )
        return config
