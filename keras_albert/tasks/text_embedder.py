"""Texts to vectors that lie close where the texts mean the same."""

import math

import keras
import keras_nlp
import numpy as np

from keras_albert.layers.heads import SentencePooling
from keras_albert.models.backbone import AlbertBackbone
from keras_albert.preprocessing.text_embedder import (
    AlbertTextEmbedderPreprocessor,
    keys_of,
)
from keras_albert.tasks.inputs import as_texts, check_text_lists
from keras_albert.tasks.pair_losses import (
    ContrastiveLoss,
    CosineLoss,
    check_score_range,
)
from keras_albert.tasks.pairs import (
    OBJECTIVES,
    check_keys,
    check_pairs,
    check_scores,
    check_whole_examples,
    is_raw_pairs,
    is_ready,
    pair_dataset,
)
from keras_albert.tasks.targets import (
    as_array,
    check_finite_outputs,
    check_weights,
)
from keras_albert.tasks.task import AlbertTask


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
        objective: what it learns. `"contrastive"`: a text lies nearer to its
            positive than to those of other examples of the batch, and to
            hard negatives, see `keras_albert.tasks.pair_losses.
            ContrastiveLoss`. `"cosine"`: the cosine similarity of two texts
            is their score, see `CosineLoss` there.
        temperature: float, of the contrastive loss.
        score_range: pair of floats, the lowest and the highest score, which
            become 0 and 1.
        **kwargs: `name`, and `compile=False` to compile later.

    Inputs: strings, or the backbone's dictionary of tensors. To learn from: a
    dictionary of lists of strings, `"text"`, `"positive"` and maybe
    `"negative"`, or `"text"` and `"pair"`; or a `tf.data.Dataset` of batches
    of these. `batch_size` of `fit` counts examples, each of which has in-batch
    negatives from the others; `sample_weight` is one weight an example. As
    ready tensors the texts of an example follow each other, a row each, and
    rows are what `batch_size` counts.

    Outputs: `(batch, hidden_dim)` float.

    Targets: with `"positive"` none, or the classes of the examples, int or
    strings: texts of one class are no negatives of each other. With `"pair"`
    scores. Of ready tensors see `AlbertTextEmbedderPreprocessor`.

    Raises:
        ValueError: if the arguments contradict each other; by `fit` and
            `evaluate` if a text is empty, a score outside the range, or what
            is given does not fit the objective.

    Example:
    ```python
    import keras_albert as ka

    embedder = ka.AlbertTextEmbedder.from_preset("albert_tiny_en")
    x = {
        "text": ["Is it raining?", "Wake me at six"],
        "positive": ["Does it rain?", "An alarm for 6, please"],
    }
    embedder.fit(x, batch_size=2, epochs=1)
    vectors = embedder.embed(["Is it raining?", "Will it rain?"])
    vectors.shape  # (2, 256)
    similarity = vectors[0] @ vectors[1]
    ```
    """

    backbone_cls = AlbertBackbone
    preprocessor_cls = AlbertTextEmbedderPreprocessor
    head_inputs = ("padding_mask",)
    output_name = "embeddings"  # Of exported files.
    makes_targets = True

    def __init__(
        self,
        backbone,
        preprocessor=None,
        pooling="mean",
        normalize=True,
        objective="contrastive",
        temperature=0.05,
        score_range=(0.0, 1.0),
        **kwargs,
    ):
        if objective not in OBJECTIVES:
            raise ValueError(
                "`objective` must be one of "
                f"{', '.join(map(repr, OBJECTIVES))}. Received: "
                f"{objective!r}."
            )
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
        outputs = self.head_outputs(backbone(inputs), inputs["padding_mask"])
        # Read by `compile`, which the base class calls.
        self.objective = objective
        self.temperature = temperature
        self.score_range = check_score_range(score_range)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

        # === Config ===
        self.pooling = pooling
        self.normalize = normalize
        self.objective = objective
        self.temperature = temperature
        self.score_range = check_score_range(score_range)

    # === Training ===

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains; see `AlbertTask.fit`, and the class for x and y."""
        if kwargs.get("class_weight") is not None:
            raise ValueError(
                "`class_weight` must be left out: no loss of texts that "
                "belong together is a class's. Received: "
                f"{kwargs['class_weight']!r:.80}; give `sample_weight`."
            )
        split = kwargs.get("validation_split")
        if split and is_ready(x) and kwargs.get("validation_data") is None:
            rows = len(x["token_ids"])
            check_whole_examples(
                y, self.objective, math.floor(rows * (1.0 - split))
            )
        return super().fit(x, y, *args, **kwargs)

    def is_raw(self, x):
        return is_raw_pairs(x)

    def check_texts(self, x):
        """Raises ValueError for what is no text, where there are no pairs."""
        if not isinstance(x, dict):
            check_text_lists(x)

    def check_elements(self, spec):
        """Raises ValueError for batches that the objective cannot learn."""
        super().check_elements(spec)
        x, y, _ = keras.utils.unpack_x_y_sample_weight(spec)
        if not is_ready(x):
            check_keys(keys_of(x), self.objective)
        if y is None and (is_ready(x) or self.objective == "cosine"):
            raise ValueError(
                "A dataset must have scores for 'pair', and the "
                "preprocessor's targets for ready tensors. It has none."
            )

    def _prepared(self, data, batch_size, shuffle=False):
        if is_ready(data[0]):
            check_whole_examples(data[1], self.objective, batch_size or 32)
            if self.objective == "cosine":
                check_scores(as_array(data[1]), self.score_range)
        return super()._prepared(data, batch_size, shuffle)

    def make_dataset(self, x, y, sample_weight, batch_size, shuffle):
        """Batches of whole examples; see `AlbertTask.make_dataset`."""
        self._check_preprocessor()
        names, x, y = check_pairs(x, y, self.objective, self.score_range)
        sample_weight = check_weights(sample_weight, len(x["text"]))
        data = self.preprocessor(x, y=y, sample_weight=sample_weight)
        return pair_dataset(data, len(names), batch_size or 32, shuffle)

    # === Results ===

    def embed(self, texts, batch_size=None):
        """Embeds texts, each batch padded only to its longest text.

        Args:
            texts: a string, or a list of strings.
            batch_size: int. How many texts are computed together; `None`: as
                many as have 1,024 tokens.

        Returns:
            NumPy array, `(hidden_dim,)` for one text, `(texts, hidden_dim)`
            for a list; float32.

        Raises:
            ValueError: if `texts` holds anything but texts, or the model's
                outputs are not finite.
        """
        texts, single = as_texts(texts)
        if not texts:
            return np.zeros((0, self.backbone.hidden_dim), dtype="float32")
        outputs = self.predict_by_length(texts, batch_size=batch_size)
        vectors = np.asarray(outputs, dtype="float32")
        check_finite_outputs(vectors)
        return vectors[0] if single else vectors

    def head_outputs(self, backbone_outputs, padding_mask):
        return self.sentence_pooling(
            backbone_outputs["sequence_output"], padding_mask
        )

    def inference_outputs(self, backbone_outputs, inputs):
        """What an exported file gives, from the backbone's outputs.

        Args:
            backbone_outputs: the dictionary of the backbone's outputs.
            inputs: the dictionary of the model's inputs.

        Returns:
            `{"embeddings": (batch, hidden_dim)}` float32.
        """
        vectors = self.head_outputs(backbone_outputs, inputs["padding_mask"])
        return {self.output_name: vectors}

    def default_loss(self):
        if self.objective == "cosine":
            return CosineLoss(self.score_range)
        return ContrastiveLoss(self.temperature)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "pooling": self.pooling,
                "normalize": self.normalize,
                "objective": self.objective,
                "temperature": self.temperature,
                "score_range": list(self.score_range),
            }
        )
        return config
