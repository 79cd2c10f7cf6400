"""From texts to the inputs of an embedder of texts."""

import keras

from keras_albert.preprocessing.text_classifier import (
    AlbertTextClassifierPreprocessor,
)


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertTextEmbedderPreprocessor(AlbertTextClassifierPreprocessor):
    """Tokenizes and packs a text as `[CLS] A [SEP]`.

    The packing is that of `AlbertTextClassifierPreprocessor`, which see for
    the arguments; pairs of texts are taken, too, and give one vector.

    Example:
    ```python
    import keras_albert as ka

    preprocessor = ka.AlbertTextEmbedderPreprocessor.from_preset(
        "albert_tiny_en", sequence_length=16
    )
    preprocessor(["Is it raining?"])["token_ids"].shape  # (1, 16)
    ```
    """
