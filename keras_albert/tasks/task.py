"""What all tasks have in common."""

import importlib.util
import numbers
import warnings

import keras
import numpy as np
from keras import tree

from keras_albert.layers.embeddings import check_length
from keras_albert.models.backbone import check_keywords
from keras_albert.models.inference import ROLLED_BACKENDS, RolledInference
from keras_albert.models.openvino import OpenVINOPrecisionMixin
from keras_albert.preprocessing.packer import (
    batch_length,
    compiles_each_shape,
    pack_texts,
    trim_masks,
    trim_padding,
)
from keras_albert.presets.loading import TaskPresetMixin
from keras_albert.tasks.inputs import (
    as_held_out,
    as_lists,
    check_batch_size,
    check_kind,
    fit_arguments,
    holds_strings,
    split_rows,
    text_batches,
)
from keras_albert.tasks.targets import as_array

# What a batch has when texts are computed together, padding counted: 16 texts
# of 64 tokens, 128 of 8. Larger batches are no faster, and need more padding.
TOKENS_PER_BATCH = 1024
_KEYWORDS = ("inputs", "outputs", "compile", "name", "trainable")
_NO_POOLER_GRADIENTS = (
    r"Gradients do not exist for variables \['pooled_dense/kernel', "
    r"'pooled_dense/bias'\]"
)
_TRAINING_BACKENDS = ("tensorflow", "jax", "torch")


def check_token_ids(features, backbone):
    """Raises ValueError for ids or positions that the tables do not have.

    Args:
        features: dictionary with `"token_ids"` and maybe `"segment_ids"`,
            `(batch, sequence)` int; checked when they are arrays or lists,
            not when they are symbols in a graph.
        backbone: the `AlbertBackbone` that is given them.
    """
    sizes = {
        "token_ids": ("vocabulary_size", backbone.vocabulary_size),
        "segment_ids": ("num_segments", backbone.num_segments),
    }
    for name, (size_name, size) in sizes.items():
        if not isinstance(features.get(name), (np.ndarray, list)):
            continue
        ids = np.asarray(features[name])
        if not ids.size:
            continue
        check_length(ids.shape[-1], backbone.max_sequence_length)
        wrong = ids[(ids < 0) | (ids >= size) | (ids != np.floor(ids))]
        if wrong.size:
            raise ValueError(
                f"`{name}` must be integers between 0 and `{size_name} - 1 = "
                f"{size - 1}`. Received: {wrong[0]}. Does the tokenizer "
                "belong to this model?"
            )


class AlbertTask(OpenVINOPrecisionMixin, TaskPresetMixin):
    """The abstract base of the tasks, mixed into KerasHub's task classes.

    It adds to them: batches padded to what their texts need, ready tensors
    that pass a preprocessor, and early checks of what they are given.

    A task whose outputs follow from the backbone's alone has a method
    `head_outputs(backbone_outputs)` that computes them, without dropout; if
    it takes more, `head_inputs` names the inputs that are passed on to it.
    """

    head_inputs: tuple = ()
    # Whether a tuple of texts in memory is two columns, or rows as in a list.
    takes_pairs = True
    # Whether the preprocessor makes targets where none are given.
    makes_targets = False

    def __init__(self, *args, **kwargs):
        check_keywords(type(self).__name__, kwargs, _KEYWORDS)
        super().__init__(*args, **kwargs)

    def check_parts(self, backbone, preprocessor):
        """Raises ValueError if backbone and preprocessor do not fit."""
        if preprocessor is None or not hasattr(preprocessor, "tokenizer"):
            return
        length = preprocessor.sequence_length
        if length is not None and length > backbone.max_sequence_length:
            raise ValueError(
                "The preprocessor's `sequence_length` must be at most the "
                "backbone's `max_sequence_length`. Received: "
                f"sequence_length={length}, max_sequence_length="
                f"{backbone.max_sequence_length}."
            )
        tokenizer = preprocessor.tokenizer
        if tokenizer is None or tokenizer.cls_token_id is None:
            return
        if tokenizer.vocabulary_size() > backbone.vocabulary_size:
            raise ValueError(
                "The backbone's `vocabulary_size` must be at least the "
                "tokenizer's. Received: "
                f"vocabulary_size={backbone.vocabulary_size}, and a "
                f"tokenizer of {tokenizer.vocabulary_size()} pieces."
            )

    def preprocess_samples(self, x, y=None, sample_weight=None):
        """Texts to batches; dictionaries of ready tensors pass unchanged."""
        if isinstance(x, dict) and "token_ids" in x:
            check_token_ids(x, self.backbone)
            return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)
        data = super().preprocess_samples(x, y, sample_weight)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if _is_padded_batch(x):
            x = trim_padding(_numpy_unless_symbolic(x))
            if "mask_positions" in x:
                x, y, sample_weight = self._trim_masks(x, y, sample_weight)
        return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)

    def _trim_masks(self, x, y, sample_weight):
        # Logits of a vocabulary for masks that cannot be cost more than all
        # the rest of a short batch.
        masks = self.preprocessor.masker.slots_of(x["token_ids"])
        positions = trim_masks(x["mask_positions"], masks)
        y, sample_weight = trim_masks((y, sample_weight), masks)
        return {**x, "mask_positions": positions}, y, sample_weight

    def fit(
        self, x=None, y=None, batch_size=None, sample_weight=None, **kwargs
    ):
        """Trains; see `keras.Model.fit`, and the class for x and y.

        Texts in memory are preprocessed, and shuffled anew for each epoch,
        unless `shuffle` is `False`; of these `validation_split` holds out the
        last rows. (Where tensorflow-text is not installed, KerasHub reads
        them, and does not shuffle.)
        """
        if keras.backend.backend() not in _TRAINING_BACKENDS:
            raise NotImplementedError(
                f"The {keras.backend.backend()} backend predicts but cannot "
                "train; set KERAS_BACKEND to tensorflow, jax or torch to fit."
            )
        data = as_lists((x, y, sample_weight))
        x = data[0]
        held_out = as_held_out(kwargs.get("validation_data"))
        shuffle = False
        if self.is_raw(x):
            shuffle = kwargs.pop("shuffle", True)
            kwargs["shuffle"] = False  # it is; Keras would warn it does not
            split = kwargs.pop("validation_split", None)
            if split and held_out is None:
                data, held_out = split_rows(data, split, self.takes_pairs)
        if isinstance(held_out, tuple):
            kwargs["validation_data"] = self._prepared(held_out, batch_size)
        elif hasattr(held_out, "element_spec"):
            self.check_elements(held_out.element_spec)
        data = self._prepared(data, batch_size, shuffle)
        with warnings.catch_warnings():
            # Tasks on the sequence have no use for it.
            warnings.filterwarnings("ignore", _NO_POOLER_GRADIENTS)
            return super().fit(**fit_arguments(data, batch_size), **kwargs)

    def evaluate(
        self, x=None, y=None, batch_size=None, sample_weight=None, **kwargs
    ):
        """Measures; see `keras.Model.evaluate`, and the class for x and y."""
        data = as_lists((x, y, sample_weight))
        data = self._prepared(data, batch_size)
        return super().evaluate(**fit_arguments(data, batch_size), **kwargs)

    def predict(self, x=None, batch_size=None, **kwargs):
        """Predicts; see `keras.Model.predict`, and the class for x."""
        x = as_lists(x)
        self._check_arrays(x)
        data = (x,)
        if self._are_texts(x):
            data = text_batches(data, batch_size)
        return super().predict(**fit_arguments(data, batch_size), **kwargs)

    def is_raw(self, x):
        """Whether x is in memory, and text, of which `make_dataset` is made.

        Args:
            x: what `fit` was given.
        """
        return self._are_texts(x)

    def make_dataset(self, x, y, sample_weight, batch_size, shuffle):
        """Checks what is in memory, and makes batches of it.

        Keras, left to itself, takes what the first two batches have in common
        for the shape of all, and TensorFlow fails at the first one of another
        length.

        Args:
            x: what `is_raw` is true of.
            y: targets, or `None`.
            sample_weight: one weight an example, or `None`.
            batch_size: int, or `None` for 32.
            shuffle: bool. Whether each epoch has another order.

        Returns:
            A `tf.data.Dataset` of batches as `fit` takes them.

        Raises:
            ValueError: if they cannot be learned from.
        """
        # To `tf.data` a tuple is columns.
        y, sample_weight = (
            list(part) if isinstance(part, tuple) else part
            for part in (y, sample_weight)
        )
        self._check_has_targets(y)
        self._check_arrays(x, y)
        data = (x, y, sample_weight)  # Keras's packing drops weights alone
        while data[-1] is None:
            data = data[:-1]
        return text_batches(data, batch_size, shuffle)

    def _prepared(self, data, batch_size, shuffle=False):
        """Batches of what is in memory, as text; all else checked, as it was.

        Args:
            data: tuple of x, y and sample weights.
            batch_size: int or `None`.
            shuffle: bool, see `make_dataset`.

        Returns:
            A dataset, or a tuple as Keras has it.
        """
        check_kind(data[0])
        if self.preprocessor is None and holds_strings(data[0]):
            self._check_preprocessor()
        if self.is_raw(data[0]):
            check_batch_size(batch_size)
            return self.make_dataset(*data, batch_size, shuffle)
        if hasattr(data[0], "element_spec"):
            self.check_elements(data[0].element_spec)
        elif not hasattr(data[0], "map"):
            self._check_has_targets(data[1])
        self._check_arrays(*data[:2])
        data = keras.utils.pack_x_y_sample_weight(*data)
        return data if isinstance(data, tuple) else (data,)

    def _are_texts(self, x):
        """Whether x is lists of strings that a preprocessor makes tensors of.

        `tf.data` runs it, for which it needs tensorflow-text.
        """
        if isinstance(x, dict):
            x = () if "token_ids" in x else (*x.values(),)
        parts = x if isinstance(x, tuple) else (x,)
        return (
            bool(parts)
            and all(isinstance(part, (list, np.ndarray)) for part in parts)
            and self.preprocessor is not None
            and importlib.util.find_spec("tensorflow_text") is not None
        )

    def _check_preprocessor(self):
        if self.preprocessor is None:
            raise ValueError(
                f"{type(self).__name__} needs a `preprocessor` to take texts. "
                "It has none; pass one to the constructor."
            )

    def get_compile_config(self):
        """What `compile` was given, for `.keras` files."""
        config = super().get_compile_config()
        if config and self.optimizer is not None:
            config["has_optimizer_state"] = self.optimizer.built
        return config

    def compile(
        self, optimizer="auto", loss="auto", *, weighted_metrics="auto", **kw
    ):
        """Configures training; see `keras.Model.compile`.

        Args:
            optimizer: `"auto"` is AdamW with the learning rate that belongs
                to the backbone's preset, see `AlbertBackbone.learning_rate`.
            loss: `"auto"` is the task's own, see the class.
            weighted_metrics: `"auto"` likewise.
            **kw: See `keras.Model.compile`.
        """
        if optimizer == "auto":
            optimizer = keras.optimizers.AdamW(
                self.backbone.learning_rate, weight_decay=0.01
            )
            optimizer.exclude_from_weight_decay(
                var_names=["bias", "gamma", "beta"]
            )
        if loss == "auto":
            loss = self.default_loss()
        if weighted_metrics == "auto":
            weighted_metrics = self.default_weighted_metrics()
        if keras.backend.backend() == "tensorflow":
            # XLA would compile each batch length, TensorFlow's own graphs
            # take any.
            kw.setdefault("jit_compile", False)
        super().compile(
            optimizer=optimizer,
            loss=loss,
            weighted_metrics=weighted_metrics,
            **kw,
        )

    def seed_dropout(self, seed):
        """Sets the state of dropout, where it is among the variables.

        It is otherwise what happened to be drawn when the layers were made.
        On torch it is not: dropout draws from the process's generator there.

        Args:
            seed: int.
        """
        for index, variable in enumerate(self.non_trainable_variables):
            if variable.name == "seed_generator_state":
                variable.assign([seed, index])

    def default_loss(self):
        """The loss that the task is trained with unless told otherwise."""
        raise NotImplementedError

    def default_weighted_metrics(self):
        """The metrics that heed sample weights; `None` for none."""

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        if config.get("head_dtype") is not None:
            config["head_dtype"] = keras.dtype_policies.get(
                config["head_dtype"]
            )
        return super().from_config(config)

    @staticmethod
    def head_dtype_config(layer):
        """The config entry by which a quantized head stays quantized.

        Args:
            layer: a dense layer of the head.
        """
        if layer.quantization_mode is None:
            return {}
        policy = keras.dtype_policies.serialize(layer.dtype_policy)
        return {"head_dtype": policy}

    def compile_from_config(self, config):
        """Compiles a loaded model as the saved one was.

        Args:
            config: dictionary, of `get_compile_config`.
        """
        config = keras.saving.deserialize_keras_object(config)
        has_optimizer_state = config.pop("has_optimizer_state", False)
        # It depends on the backend, which may be another one now.
        config.pop("jit_compile", None)
        self.compile(**config)
        if has_optimizer_state:
            self.optimizer.build(self.trainable_variables)

    def make_train_function(self, force=False):
        """Traces what `fit` runs, again when there are new adapters."""
        force = force or self._has_new_adapters("train")
        return super().make_train_function(force)

    def make_test_function(self, force=False):
        """Traces what `evaluate` runs, again when there are new adapters."""
        force = force or self._has_new_adapters("test")
        return super().make_test_function(force)

    def make_predict_function(self, force=False):
        """Traces what `predict` runs, again when there are new adapters."""
        force = force or self._has_new_adapters("predict")
        return super().make_predict_function(force)

    def _has_new_adapters(self, function):
        # `enable_lora` is the backbone's, the traced functions are ours.
        rank = getattr(self.backbone, "_lora_rank", None)
        name = f"_{function}_lora_rank"
        is_new = getattr(self, name, None) != rank
        setattr(self, name, rank)
        return is_new

    def check_elements(self, spec):
        """Raises ValueError for what is no batch, or has no targets.

        Args:
            spec: the `element_spec` of a `tf.data.Dataset`.
        """
        x, y, _ = keras.utils.unpack_x_y_sample_weight(spec)
        if any(leaf.shape.rank == 0 for leaf in tree.flatten(x)):
            raise ValueError(
                "A dataset must be of batches. Received single examples: "
                f"{x!r:.160}; call `.batch(32)` on it."
            )
        self._check_has_targets(y)

    def _check_has_targets(self, y):
        if y is None and not self.makes_targets and self.loss is not None:
            raise ValueError(
                "There must be targets, `y`, to learn from or to measure by. "
                "Received none."
            )

    def check_texts(self, x):
        """Raises ValueError for texts that the preprocessor cannot take."""

    def check_targets(self, y):
        """Raises ValueError for targets that the task cannot learn."""

    def _check_arrays(self, x, y=None):
        # Here, since it is symbols that reach `preprocess_samples` in graphs.
        check_kind(x)
        if isinstance(x, dict) and "token_ids" in x:
            ids = {name: as_array(value) for name, value in x.items()}
            check_token_ids(ids, self.backbone)
        elif self.preprocessor is not None:
            self.check_texts(x)
        if isinstance(y, list) or hasattr(y, "__array__"):
            self.check_targets(as_array(y))

    def predict_by_length(self, texts, batch_size=None):
        """Predicts texts, similar lengths together, each batch just as long.

        Args:
            texts: list of strings, or of pairs of strings as 2-tuples.
            batch_size: int. How many texts are computed together; `None`: as
                many as have `TOKENS_PER_BATCH` tokens, padding counted, so
                that short texts do not pay for long ones.

        Returns:
            The outputs of the model as `predict` gives them, NumPy arrays
            in the order of `texts`.
        """
        return self.predict_features(self._features(texts), batch_size)

    def predict_features(self, features, batch_size=None):
        """Predicts ready tensors, see `predict_by_length`.

        Args:
            features: dictionary of `(rows, sequence)` int arrays, padded.
            batch_size: int or `None`.

        Returns:
            The outputs, NumPy arrays in the order of the rows.
        """
        order, outputs = [], []
        for rows, output in self.outputs_by_length(features, batch_size):
            outputs.append(output)
            order.append(rows)
        inverse = np.argsort(np.concatenate(order))
        return tree.map_structure(
            lambda *parts: np.concatenate(parts)[inverse], *outputs
        )

    def outputs_by_length(self, features, batch_size=None):
        """Computes packed rows, similar lengths together.

        Args:
            features: dictionary of `(rows, sequence)` int arrays, padded.
            batch_size: int or `None`, see `predict_by_length`.

        Yields:
            The indices of the rows, `(n,)`, and the model's outputs for
            them, NumPy arrays; of tokens as many as the batch's longest row
            has.
        """
        check_batch_size(batch_size)
        for rows, batch in batches_by_length(features, batch_size):
            output = self.compute_batch(batch)
            yield rows, _first_rows(output, len(rows))

    def compute_batch(self, batch):
        """The model's outputs for ready tensors, by the rolled stack.

        Args:
            batch: dictionary of `"token_ids"`, `"segment_ids"` and
                `"padding_mask"`, each a `(batch, sequence)` int array, and
                the task's further inputs.

        Returns:
            What `predict_on_batch` returns, NumPy arrays.
        """
        if not self.runs_rolled():
            return keras.Model.predict_on_batch(self, batch)
        inference = getattr(self, "_rolled_inference", None)
        if inference is None:
            inference = RolledInference(
                self.backbone, self.head_outputs, self, self.head_inputs
            )
            self._rolled_inference = inference
        return inference(batch)

    def runs_rolled(self):
        """Whether `compute_batch` runs the rolled stack on this backend."""
        is_rolled = keras.backend.backend() in ROLLED_BACKENDS
        return is_rolled and hasattr(self, "head_outputs")

    def _features(self, texts):
        self._check_preprocessor()
        if isinstance(texts[0], tuple):
            texts = tuple(list(part) for part in zip(*texts, strict=True))
        return pack_texts(self.preprocessor, texts)


def trim_targets(features, *targets):
    """Targets a token, no longer than the features that were trimmed.

    Args:
        features: dictionary of `(batch, sequence)` arrays or tensors.
        *targets: `(batch, longer)` arrays or tensors.

    Returns:
        list of the `(batch, sequence)` parts of the targets.
    """
    length = features["token_ids"].shape[1]
    if length is None:
        import tensorflow as tf

        length = tf.shape(features["token_ids"])[1]
    return [target[:, :length] for target in targets]


def number_of_classes(num_classes, labels):
    """The number of classes from either argument of a classifier.

    Raises:
        ValueError: if there is neither, or they contradict each other.
    """
    if labels is None:
        if num_classes is None:
            raise ValueError(
                "`num_classes` or `labels` must be given. Received neither; "
                "pass `num_classes=1` for regression."
            )
        if not isinstance(num_classes, numbers.Integral) or num_classes < 1:
            raise ValueError(
                "`num_classes` must be a positive integer. Received: "
                f"{num_classes!r}."
            )
        return num_classes
    if isinstance(labels, str):
        raise ValueError(
            f"`labels` must be a list of strings. Received: {labels!r}."
        )
    if num_classes is not None and num_classes != len(labels):
        raise ValueError(
            "`labels` must name each class once. Received: "
            f"num_classes={num_classes} and {len(labels)} labels."
        )
    if len(set(labels)) != len(labels):
        raise ValueError(f"`labels` must differ. Received: {labels}.")
    return len(labels)


def merge_class_config(saved, given):
    """A classifier's arguments from a preset's and the user's."""
    merged = {**saved, **given}
    if given.get("labels") is not None and "num_classes" not in given:
        merged["num_classes"] = len(given["labels"])
    if "num_classes" in given and "labels" not in given:
        size = len(saved.get("labels") or ())
        if size != given["num_classes"]:
            merged["labels"] = None
    fits = all(
        merged.get(name, default) == saved.get(name, default)
        for name, default in (("num_classes", None), ("pooling", "cls"))
    )
    if not fits and "head_dtype" not in given:
        # A fresh head is to be trained, which a quantized one cannot be.
        merged.pop("head_dtype", None)
    return merged


def batches_by_length(features, batch_size=None):
    """Batches of similar lengths, each just as long as its longest row.

    Args:
        features: dictionary of `(rows, sequence)` int arrays, padded,
            `"padding_mask"` among them.
        batch_size: int; `None`: as many as have `TOKENS_PER_BATCH` tokens.

    Yields:
        The indices of the rows, `(n,)`, and the dictionary of their
        `(m, length)` arrays, `m >= n`: rows of padding may follow.
    """
    tokens = features["padding_mask"].sum(axis=-1)
    maximum = features["padding_mask"].shape[-1]
    order = np.argsort(tokens, kind="stable")
    start = 0
    while start < len(order):
        size = batch_size or _rows_in_budget(tokens[order[start:]], maximum)
        rows = order[start : start + size]
        start += size
        batch = {name: value[rows] for name, value in features.items()}
        yield rows, _pad_rows(trim_padding(batch))


def _rows_in_budget(tokens, maximum):
    """How many rows have `TOKENS_PER_BATCH` tokens, by powers of two.

    Args:
        tokens: `(rows,)` int, ascending.
        maximum: int, the longest that a row can be.
    """
    size = 1
    while size < len(tokens):
        longest = tokens[min(2 * size, len(tokens)) - 1]
        if 2 * size * batch_length(longest, maximum) > TOKENS_PER_BATCH:
            break
        size *= 2
    return size


def _first_rows(outputs, rows):
    return tree.map_structure(lambda x: x[:rows], outputs)


def _is_padded_batch(x):
    return (
        isinstance(x, dict)
        and "padding_mask" in x
        and len(x["padding_mask"].shape) in (2, 3)
    )


def _numpy_unless_symbolic(features):
    import tensorflow as tf

    if not tf.executing_eagerly():
        return features
    return {
        name: keras.ops.convert_to_numpy(value)
        for name, value in features.items()
    }


def _pad_rows(batch):
    """Fills a batch with empty rows up to a power of two.

    Backends that compile then build programs for a few batch sizes only; on
    others it is left as it is.
    """
    if not compiles_each_shape():
        return batch
    rows = len(batch["padding_mask"])
    missing = (1 << (rows - 1).bit_length()) - rows
    return {
        name: np.pad(value, ((0, missing), (0, 0)))
        for name, value in batch.items()
    }
