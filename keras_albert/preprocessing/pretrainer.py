"""From two consecutive texts to the inputs of pretraining."""

import keras
import keras_nlp
import tensorflow as tf

from keras_albert.models.backbone import AlbertBackbone
from keras_albert.preprocessing.masking import WholeWordMasker
from keras_albert.preprocessing.packer import ragged_ids
from keras_albert.preprocessing.sentence_order import SentenceOrderPairs
from keras_albert.preprocessing.tokenizer import AlbertTokenizer
from keras_albert.presets.loading import (
    PREPROCESSOR_FILE,
    PreprocessingPresetMixin,
)


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertPretrainerPreprocessor(
    PreprocessingPresetMixin, keras_nlp.models.Preprocessor
):
    """Packs two consecutive texts, swaps half of the pairs, masks words.

    For data that fits into memory, such as a few thousand pairs for domain
    adaptation with `fit`. For pretraining see `keras_albert.pretraining`,
    which cuts documents into pairs itself.

    Args:
        tokenizer: an `AlbertTokenizer`.
        sequence_length: int. Length of the packed sequences, in tokens.
        mask_rate: float, the part of tokens that is masked, see
            `keras_albert.preprocessing.masking.WholeWordMasker`.
        seed: int. Each call draws anew; the first call, the second and so on
            give the same each time that an instance is made.
        **kwargs: See `keras_nlp.models.Preprocessor`.

    Call arguments:
        x: a tuple of two strings, or of two lists or tensors of strings: the
            texts and what follows each. As `y` the second is understood, too,
            so that `fit(first_texts, following_texts)` works.

    Returns:
        A tuple of inputs, targets and sample weights, dictionaries as
        `AlbertPretrainer` describes them.

    Example:
    ```python
    import keras_albert as ka

    preprocessor = ka.AlbertPretrainerPreprocessor.from_preset(
        "albert_tiny_en", sequence_length=32
    )
    x, y, sample_weight = preprocessor(
        (["It rained all night."], ["In the morning the river was high."])
    )
    x["token_ids"].shape  # (1, 32)
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
        mask_rate=0.15,
        seed=0,
        **kwargs,
    ):
        if sequence_length < 5:
            raise ValueError(
                "`sequence_length` must be at least 5, to hold two tokens and "
                f"three special ones. Received: {sequence_length}."
            )
        super().__init__(**kwargs)
        self.tokenizer = tokenizer
        self.sequence_length = sequence_length
        self.mask_rate = mask_rate
        self.seed = seed
        self._calls = None

    def build(self, input_shape):
        # Once the tokenizer has its vocabulary, which a preset loads later.
        self.masker = WholeWordMasker(self.tokenizer, mask_rate=self.mask_rate)
        self.pairs = SentenceOrderPairs(self.tokenizer, self.sequence_length)
        with tf.init_scope():
            self._calls = tf.Variable(0, dtype=tf.int32, trainable=False)
        super().build(input_shape)

    def call(self, x, y=None, sample_weight=None):
        if y is not None:
            # KerasHub takes a tuple apart, as texts and their targets.
            x = (x, y)
        if not isinstance(x, (tuple, list)) or len(x) != 2:
            raise ValueError(
                "`x` must be a tuple of two texts, or of two lists of texts: "
                f"the first ones and what follows them. Received: {x!r:.100}."
            )
        first, second = (tf.convert_to_tensor(texts) for texts in x)
        is_single = first.shape.rank == 0
        if is_single:
            first, second = first[None], second[None]
        outputs = self._examples(
            ragged_ids(self.tokenizer, first),
            ragged_ids(self.tokenizer, second),
        )
        if is_single:
            outputs = tf.nest.map_structure(lambda x: x[0], outputs)
        if tf.executing_eagerly():
            outputs = tf.nest.map_structure(lambda x: x.numpy(), outputs)
        return outputs

    def _examples(self, first, second):
        seed = tf.constant([self.seed, 0], tf.int32)
        seed = tf.random.fold_in(seed, self._calls.assign_add(1))
        pack_seed, mask_seed = tf.unstack(tf.random.split(seed, 2))
        both = tf.concat([first, second], axis=1)
        start = tf.cast(both.row_starts(), tf.int32)
        packed = self.pairs.pack(
            both.flat_values,
            start,
            start + tf.cast(first.row_lengths(), tf.int32),
            tf.cast(both.row_limits(), tf.int32),
            tf.fill(tf.shape(start), self.sequence_length - 3),
            pack_seed,
        )
        masked = self.masker(packed["token_ids"], mask_seed)
        return pretraining_batch(self.masker, packed, masked)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "sequence_length": self.sequence_length,
                "mask_rate": self.mask_rate,
                "seed": self.seed,
            }
        )
        return config


def pretraining_batch(masker, packed, masked):
    """Inputs, targets and weights of `AlbertPretrainer`.

    Args:
        masker: the `WholeWordMasker` that was used.
        packed: dictionary of `SentenceOrderPairs`.
        masked: dictionary of the masker, on `packed`.

    Returns:
        A tuple of three dictionaries of tensors.
    """
    is_token = packed["token_ids"] != masker.pad_token_id
    inputs = {
        "token_ids": masked["token_ids"],
        "segment_ids": packed["segment_ids"],
        "padding_mask": tf.cast(is_token, tf.int32),
        "mask_positions": masked["mask_positions"],
    }
    targets = {"mlm": masked["mask_ids"], "sop": packed["sop"]}
    weights = {
        "mlm": masked["mask_weights"],
        "sop": tf.ones_like(packed["sop"], tf.float32),
    }
    return inputs, targets, weights
