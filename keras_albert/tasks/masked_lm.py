"""Tokens behind `[MASK]`."""

import keras
import keras_nlp
import numpy as np

from keras_albert.layers.heads import AlbertMaskedLMHead
from keras_albert.metrics.token_accuracy import TokenAccuracy
from keras_albert.models.backbone import AlbertBackbone
from keras_albert.preprocessing.masked_lm import AlbertMaskedLMPreprocessor
from keras_albert.preprocessing.masked_text import fill
from keras_albert.preprocessing.packer import python_ids
from keras_albert.tasks.inputs import (
    as_texts,
    check_batch_size,
    check_text_lists,
)
from keras_albert.tasks.targets import check_finite_outputs
from keras_albert.tasks.task import AlbertTask

# How many masked copies of texts are made at a time.
_ROWS_A_CALL = 256


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertMaskedLM(AlbertTask, keras_nlp.models.MaskedLM):
    """Predicts masked tokens, the first of ALBERT's two pretraining tasks.

    Args:
        backbone: an `AlbertBackbone`.
        preprocessor: an `AlbertMaskedLMPreprocessor`, or `None` for a model
            of ready tensors.
        head_layer_norm_epsilon: float or `None`. Epsilon of the head's layer
            normalization; `None`: the backbone's. KerasHub's head has 1e-5.
        head_dtype: dtype policy of the head, instead of the backbone's. A
            quantized model keeps it.
        **kwargs: `name`, and `compile=False` to compile later.

    Inputs: strings, of which words are masked at random, or the backbone's
    dictionary of tensors, and
        - `"mask_positions"`: `(batch, masks)` int, the positions to predict.

    Outputs: `(batch, masks, vocabulary_size)` float, logits.

    Targets are the tokens, `(batch, masks)` int; padded masks get a sample
    weight of 0, `(batch, masks)`. The default loss is sparse cross-entropy,
    the mean over the masks.

    Example:
    ```python
    import keras_albert as ka

    masked_lm = ka.AlbertMaskedLM.from_preset("albert_tiny_en")
    masked_lm.fit(["Wake me at six", "Will it rain?"], epochs=1)
    masked_lm.fill_mask("Will it [MASK] tomorrow?", top_k=1)
    # [{"text": "rain", "score": 0.1, "sequence": "Will it rain tomorrow?", …}]
    masked_lm.score("Will it rain?")  # {"score": -37.5, "tokens": 4}
    ```
    """

    backbone_cls = AlbertBackbone
    preprocessor_cls = AlbertMaskedLMPreprocessor
    makes_targets = True
    head_inputs = ("mask_positions",)
    shared_heads = {"AlbertPretrainer": ("masked_lm_head",)}
    output_name = "logits"  # Of exported files.

    def __init__(
        self,
        backbone,
        preprocessor=None,
        head_layer_norm_epsilon=None,
        head_dtype=None,
        **kwargs,
    ):
        if head_layer_norm_epsilon is None:
            head_layer_norm_epsilon = backbone.layer_norm_epsilon
        self.check_parts(backbone, preprocessor)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.masked_lm_head = AlbertMaskedLMHead(
            backbone.token_embedding,
            activation=backbone.activation,
            layer_norm_epsilon=head_layer_norm_epsilon,
            dense_dtype=head_dtype,
            dtype=backbone.dtype_policy,
            name="mlm_head",
        )

        # === Functional model ===
        inputs = {
            **backbone.input,
            "mask_positions": keras.Input(
                shape=(None,), dtype="int32", name="mask_positions"
            ),
        }
        sequence = backbone(backbone.input)["sequence_output"]
        outputs = self.masked_lm_head(sequence, inputs["mask_positions"])
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

        # === Config ===
        self.head_layer_norm_epsilon = head_layer_norm_epsilon

    def check_texts(self, x):
        """Raises ValueError for what is no text; see `check_text_lists`."""
        check_text_lists(x)

    def make_dataset(self, x, y, sample_weight, batch_size, shuffle):
        """Batches of texts alone; see `AlbertTask.make_dataset`."""
        if y is not None:
            raise ValueError(
                "Texts must come without targets: these are the tokens that "
                f"get masked. Received: y={y!r:.80}; leave it out."
            )
        return super().make_dataset(x, y, sample_weight, batch_size, shuffle)

    def fill_mask(self, texts, top_k=5, batch_size=None):
        """Predicts what stands behind each `[MASK]` of texts.

        A mask is `[MASK]` as the vocabulary spells it; `[mask]` is text like
        any other. A space before it, or none, tells nothing of the token:
        that may begin a word or go on with one.

        Args:
            texts: a string, a pair of strings as a 2-tuple, or a list of
                either, each with at least one `[MASK]`.
            top_k: int, how many tokens a mask are given.
            batch_size: int, how many texts are computed together. `None`: as
                many as a budget of tokens allows, see `predict_by_length`.

        Returns:
            For one text a result, for a list a list of results. The result
            of a text with one mask is a list of `top_k` dictionaries, most
            probable first; with several masks, a list of such lists, in
            order. A dictionary has
            - `"text"`: the token as it is read, `"rain"`;
            - `"score"`: its probability among all tokens;
            - `"token"`, `"token_id"`: the piece of the vocabulary, `"▁rain"`;
            - `"sequence"`: the text as it was given with the token in place
              of this mask, other masks left; a 2-tuple for a pair.

        Raises:
            ValueError: if a text has no mask, or a mask lies beyond the
                preprocessor's `sequence_length`; if `top_k` is no number of
                tokens that there are; if the outputs are not finite.
        """
        tokenizer = self._tokenizer()
        texts, single = as_texts(texts)
        size = tokenizer.vocabulary_size()
        if not isinstance(top_k, int) or not 1 <= top_k <= size:
            raise ValueError(
                f"`top_k` must be an integer from 1 to {size}, the size of "
                f"the vocabulary. Received: {top_k!r}."
            )
        if not texts:
            return []
        features, counts = self.preprocessor.pack_masked(texts)
        logits = self.predict_features(features, batch_size)
        check_finite_outputs(logits)
        # A backbone may have more rows than there are tokens.
        probabilities = np.exp(_log_softmax(logits[..., :size]))
        results = [
            [self._fillings(text, i, rows[i], top_k) for i in range(count)]
            for text, rows, count in zip(
                texts, probabilities, counts, strict=True
            )
        ]
        results = [r[0] if len(r) == 1 else r for r in results]
        return results[0] if single else results

    def _fillings(self, text, index, probabilities, top_k):
        tokenizer = self.preprocessor.tokenizer
        best = np.argsort(-probabilities, kind="stable")[:top_k]
        results = []
        for token_id in map(int, best):
            token = tokenizer.id_to_token(token_id)
            word, sequence = _fill_any(tokenizer, text, index, token)
            results.append(
                {
                    "text": word,
                    "score": float(probabilities[token_id]),
                    "token": token,
                    "token_id": token_id,
                    "sequence": sequence,
                }
            )
        return results

    def score(self, texts, batch_size=None):
        """Pseudo-log-likelihoods: how well each token fits into its text.

        The sum over the tokens of a text of the log-probability of the token
        where it alone is masked (Salazar et al. 2020, "Masked Language Model
        Scoring", https://arxiv.org/abs/1910.14659). A text of n tokens is
        computed n times. The pseudo-perplexity of a corpus is
        `exp(-sum(scores) / sum(tokens))`.

        Args:
            texts: a string, or a list of strings. A `[MASK]` in them is text.
            batch_size: int, how many masked texts are computed together.
                `None`: as many as a budget of tokens allows.

        Returns:
            For one text a result, for a list a list of results. A result is
            `{"score", "tokens"}`: the pseudo-log-likelihood, natural
            logarithm, and the number of tokens that it is the sum of,
            without `[CLS]` and `[SEP]`. An empty text has 0 of both.

        Raises:
            ValueError: if a text is longer than the preprocessor's
                `sequence_length`, or the outputs are not finite.
        """
        tokenizer = self._tokenizer()
        texts, single = as_texts(texts)
        if texts and isinstance(texts[0], tuple):
            raise ValueError(
                "Texts to score must be strings. Received pairs; score each "
                "text by itself."
            )
        check_batch_size(batch_size)
        if not texts:
            return []
        rows = python_ids(tokenizer, texts)
        longest = self.preprocessor.sequence_length - 2
        for index, row in enumerate(rows):
            if len(row) > longest:
                raise ValueError(
                    f"Texts to score must have at most {longest} tokens, the "
                    "preprocessor's `sequence_length` without `[CLS]` and "
                    f"`[SEP]`. Received at index {index} one of {len(row)}: "
                    f"{texts[index]!r:.80}. Split it."
                )
        sums = np.zeros(len(rows))
        for which, scores in self._token_scores(rows, batch_size):
            np.add.at(sums, which, scores)
        results = [
            {"score": float(score), "tokens": len(row)}
            for score, row in zip(sums, rows, strict=True)
        ]
        return results[0] if single else results

    def _token_scores(self, rows, batch_size):
        """Yields the indices of rows, and log-probabilities of their tokens."""
        size = self.preprocessor.tokenizer.vocabulary_size()
        mask_id = self.preprocessor.tokenizer.mask_token_id
        lengths = [len(row) for row in rows]
        # Of each token its row and its place, rows of a length together.
        order = np.argsort(lengths, kind="stable")
        which = np.repeat(order, np.array(lengths)[order])
        places = np.concatenate([np.arange(lengths[row]) for row in order])
        rows_a_call = batch_size or _ROWS_A_CALL
        for start in range(0, len(which), rows_a_call):
            part = slice(start, start + rows_a_call)
            chosen, at = which[part], places[part].astype(int)
            masked = [list(rows[row]) for row in chosen]
            tokens = [row[i] for row, i in zip(masked, at, strict=True)]
            for row, i in zip(masked, at, strict=True):
                row[i] = mask_id
            features = self.preprocessor.pack_ids((masked,))
            features["mask_positions"] = (at[:, None] + 1).astype("int32")
            logits = self.predict_features(features, batch_size)[:, 0, :size]
            check_finite_outputs(logits)
            yield chosen, _log_softmax(logits)[np.arange(len(at)), tokens]

    def _tokenizer(self):
        if self.preprocessor is None:
            raise ValueError(
                "AlbertMaskedLM needs a `preprocessor` to take texts. It has "
                "none; pass one to the constructor."
            )
        return self.preprocessor.tokenizer

    def head_outputs(self, backbone_outputs, mask_positions):
        return self.masked_lm_head(
            backbone_outputs["sequence_output"], mask_positions
        )

    def inference_outputs(self, backbone_outputs, inputs):
        """What an exported file gives, from the backbone's outputs.

        Args:
            backbone_outputs: the dictionary of the backbone's outputs.
            inputs: the dictionary of the model's inputs.

        Returns:
            `{"logits": (batch, masks, vocabulary_size)}` float.
        """
        logits = self.head_outputs(backbone_outputs, inputs["mask_positions"])
        return {self.output_name: logits}

    def default_loss(self):
        # Of the masks that there are, not of all slots for them.
        return keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        )

    def default_weighted_metrics(self):
        return [TokenAccuracy(name="accuracy")]

    def get_config(self):
        config = super().get_config()
        config.update(self.head_dtype_config(self.masked_lm_head.dense))
        config["head_layer_norm_epsilon"] = self.head_layer_norm_epsilon
        return config


def _log_softmax(logits):
    logits = np.asarray(logits, dtype="float64")
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


def _fill_any(tokenizer, text, index, token):
    """`fill` of a text, or of the half of a pair that the mask is in."""
    if isinstance(text, str):
        return fill(tokenizer, text, index, token)
    first, second = text
    in_first = first.count(tokenizer.mask_token)
    if index < in_first:
        word, filled = fill(tokenizer, first, index, token)
        return word, (filled, second)
    word, filled = fill(tokenizer, second, index - in_first, token)
    return word, (first, filled)
