"""Texts to vectors that lie close where the texts mean the same."""

import keras
import keras_nlp
import numpy as np

from keras_albert.layers.heads import SentencePooling
from keras_albert.models.backbone import AlbertBackbone
from keras_albert.preprocessing.text_embedder import (
    AlbertTextEmbedderPreprocessor,
)
from keras_albert.tasks.task import AlbertTask, as_texts


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertTextEmbedder(AlbertTask, keras_nlp.models.TextEmbedder):
    """One vector a text: the pooled states of the last layer.

    As Sentence-BERT (Reimers and Gurevych 2019,
    https://arxiv.org/abs/1908.10084): the mean of the tokens' states, or the
    state of `[CLS]`. There are no weights beside the backbone's.

    Args:
        backbone: an `AlbertBackbone`.
        preprocessor: an `AlbertTextEmbedderPreprocessor`, or `None` for a
            model of ready tensors.
        pooling: `"mean"` or `"cls"`.
        normalize: bool. Whether vectors are scaled to length 1, so that
            their dot product is the cosine similarity.
        **kwargs: `name`, and `compile=False` to compile later.

    Inputs: strings, or the backbone's dictionary of tensors.

    Outputs: `(batch, hidden_dim)` float.

    There is no default loss: what is trained on, pairs or scores, decides.

    Raises:
        ValueError: if the arguments contradict each other.

    Example:
    ```python
    import keras_albert as ka

    embedder = ka.AlbertTextEmbedder.from_preset("albert_tiny_en")
    vectors = embedder.embed(["Is it raining?", "Will it rain?"])
    vectors.shape  # (2, 256)
    similarity = vectors[0] @ vectors[1]
    ```
    """

    backbone_cls = AlbertBackbone
    preprocessor_cls = AlbertTextEmbedderPreprocessor
    output_name = "embeddings"  # Of exported files.

    def __init__(
        self,
        backbone,
        preprocessor=None,
        pooling="mean",
        normalize=True,
        **kwargs,
    ):
        self.check_parts(backbone, preprocessor)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.sentence_pooling = SentencePooling(
            pooling,
            normalize,
            dtype=backbone.dtype_policy,
            name="sentence_pooling",
        )

        # === Functional model ===
        inputs = backbone.input
        outputs = self.sentence_pooling(
            backbone(inputs)["sequence_output"], inputs["padding_mask"]
        )
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

        # === Config ===
        self.pooling = pooling
        self.normalize = normalize

    def embed(self, texts, batch_size=None):
        """Embeds texts, each batch padded only to its longest text.

        Args:
            texts: a string, or a list of strings.
            batch_size: int. How many texts are computed together; `None`: as
                many as have 2,048 tokens.

        Returns:
            NumPy array, `(hidden_dim,)` for one text, `(texts, hidden_dim)`
            for a list; float32.

        Raises:
            ValueError: if `texts` holds anything but texts.
        """
        texts, single = as_texts(texts)
        if not texts:
            return np.zeros((0, self.backbone.hidden_dim), dtype="float32")
        outputs = self.predict_by_length(texts, batch_size=batch_size)
        vectors = np.asarray(
            keras.ops.convert_to_numpy(keras.ops.cast(outputs, "float32"))
        )
        return vectors[0] if single else vectors

    def inference_outputs(self, backbone_outputs, inputs):
        """What an exported file gives, from the backbone's outputs.

        Args:
            backbone_outputs: the dictionary of the backbone's outputs.
            inputs: the dictionary of the model's inputs.

        Returns:
            `{"embeddings": (batch, hidden_dim)}` float32.
        """
        vectors = self.sentence_pooling(
            backbone_outputs["sequence_output"], inputs["padding_mask"]
        )
        return {self.output_name: vectors}

    def default_loss(self):
        return None

    def get_config(self):
        config = super().get_config()
        config.update({"pooling": self.pooling, "normalize": self.normalize})
        return config
