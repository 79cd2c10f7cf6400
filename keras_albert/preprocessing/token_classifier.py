"""From words and their labels to the inputs of a token classifier."""

import dataclasses

import keras
import keras_nlp
import numpy as np

from keras_albert.models.backbone import AlbertBackbone
from keras_albert.preprocessing.tokenizer import AlbertTokenizer
from keras_albert.preprocessing.word_splitting import (
    EMPTY,
    SPACES,
    join_words,
    plan_windows,
    words_of,
)
from keras_albert.presets.loading import (
    PREPROCESSOR_FILE,
    PreprocessingPresetMixin,
)

# The label of words that do not count; in lists also `None`, or -100 where
# labels are numbers.
IGNORED = "<ignored>"
_IGNORED_CLASS = -100


@dataclasses.dataclass
class Window:
    """A sentence, or a part of one that fits a sequence.

    Attributes:
        sentence: int, the index of the sentence.
        token_ids: list of int, `[CLS]` and `[SEP]` among them.
        context: slice, the words that it has.
        words: range, the indices of those that are labelled here.
        positions: list of int, where the first piece of each stands.
    """

    sentence: int
    token_ids: list
    context: slice
    words: range
    positions: list


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertTokenClassifierPreprocessor(
    PreprocessingPresetMixin, keras_nlp.models.Preprocessor
):
    """Tokenizes words, and gives the first piece of each the word's label.

    A word is tokenized on its own, so that its pieces are the same whatever
    is around it: `[CLS]`, the pieces of all words, `[SEP]`. Other pieces than
    a word's first, special tokens and padding have a weight of 0, as in
    BERT's paper (Devlin et al. 2019, section 5.3). A word that the tokenizer
    makes nothing of, such as a zero-width space, is the unknown token, so
    that it has a label, too.

    Args:
        tokenizer: an `AlbertTokenizer`.
        sequence_length: int. Length of the packed sequences, in tokens. What
            is beyond is cut off here; `windows`, and so `fit` with lists,
            `tag` and `entities`, splits long sentences instead.
        labels: list of strings, the names of the classes in order; `None`:
            labels are numbers. A task sets its own.
        **kwargs: See `keras_nlp.models.Preprocessor`.

    Call arguments:
        x: sentences: a string with ASCII white space between words, a list
            or tensor of these, or a list of lists of words.
        y: the words' labels in the same form. `"<ignored>"`, in lists also
            `None`, is the label of words that shall not count.
        sample_weight: weights of sentences, `(batch,)`.

    Returns:
        A dictionary of `"token_ids"`, `"segment_ids"` and `"padding_mask"`,
        each `(batch, sequence_length)` int32; with `y` a tuple of this, of
        classes, `(batch, sequence_length)` int32, and of weights, the same
        shape, float32.

    Raises:
        ValueError: if a sentence has not as many labels as words, or an
            unknown one. In graphs: `tf.errors.InvalidArgumentError`.

    Example:
    ```python
    import keras_albert as ka

    preprocessor = ka.AlbertTokenClassifierPreprocessor.from_preset(
        "albert_tiny_en", sequence_length=16, labels=["O", "B-PER", "B-LOC"]
    )
    x, y, weight = preprocessor(["Anna lives in Oslo"], ["B-PER O O B-LOC"])
    y[0][weight[0] > 0]  # [1, 0, 0, 2]
    ```
    """

    backbone_cls = AlbertBackbone
    tokenizer_cls = AlbertTokenizer
    preset_file = PREPROCESSOR_FILE
    takes_pairs = False

    def __init__(self, tokenizer, sequence_length=512, labels=None, **kwargs):
        if sequence_length < 3:
            raise ValueError(
                "`sequence_length` must be at least 3, to hold a word and the "
                f"special tokens. Received: {sequence_length}."
            )
        super().__init__(**kwargs)
        self.tokenizer = tokenizer
        self.sequence_length = sequence_length
        self.labels = None if labels is None else list(labels)

    # === Python ===

    def sentences(self, x):
        """Sentences as lists of words.

        Args:
            x: list of strings or of lists of strings, or arrays or tensors
                of these.

        Returns:
            list of lists of strings.

        Raises:
            ValueError: if they are something else.
        """
        is_rows = hasattr(x, "__len__") or hasattr(x, "to_list")
        if isinstance(x, (str, bytes)) or not is_rows:
            raise ValueError(
                "Sentences must be a list of lists of words, or of strings. "
                f"Received: {x!r:.80}; put it into a list."
            )
        sentences = []
        for index, row in enumerate(_as_list(x)):
            words = row if isinstance(row, list) else [row]
            if not all(map(_is_text, words)):
                raise ValueError(
                    "Sentences must be lists of words, or strings, and words "
                    f"strings. Received at index {index}: {row!r:.80}."
                )
            sentences.append(
                [_text(word) or EMPTY for word in row]
                if isinstance(row, list)
                else words_of(_text(row))
            )
        return sentences

    def classes(self, y, sentences):
        """The classes of words.

        Args:
            y: labels, in any form that the preprocessor takes.
            sentences: list of lists of words that they are of.

        Returns:
            list of lists of int, -1 for words that do not count.

        Raises:
            ValueError: if the numbers of words and labels differ, or a label
                is unknown.
        """
        rows = [
            row if isinstance(row, list) else words_of(_text(row))
            for row in _as_list(y)
        ]
        if len(rows) != len(sentences):
            raise ValueError(
                "There must be labels for each sentence. Received: "
                f"{len(sentences)} sentences and labels for {len(rows)}."
            )
        known = {IGNORED: -1, None: -1, _IGNORED_CLASS: -1}
        if self.labels is not None:
            known |= {name: i for i, name in enumerate(self.labels)}
        for index, (row, words) in enumerate(zip(rows, sentences, strict=True)):
            if len(row) != len(words):
                raise ValueError(
                    "Each word must have one label. Received at index "
                    f"{index}: {len(words)} words and {len(row)} labels: "
                    f"{' '.join(words):.80}."
                )
        return [[self._class(known, label) for label in row] for row in rows]

    def _class(self, known, label):
        if isinstance(label, (int, np.integer)):
            label = int(label)
            count = None if self.labels is None else len(self.labels)
            if label >= 0 and (count is None or label < count):
                return label
        elif isinstance(label, (str, bytes)):
            label = _text(label)
            if self.labels is None and label.isdecimal():
                return int(label)
        if not isinstance(label, (int, str, type(None))) or label not in known:
            raise ValueError(_unknown_label(repr(label), self.labels))
        return known[label]

    def pieces(self, sentences):
        """The token ids of words, at least one each.

        Args:
            sentences: list of lists of words.

        Returns:
            list of lists of lists of int, at most `sequence_length - 2` a
            word.
        """
        words = sorted({word for words in sentences for word in words})
        ids = _as_list(self.tokenizer(words)) if words else []
        room = self.sequence_length - 2
        unknown = self.tokenizer.unknown_token_id
        of_word = {
            word: [int(i) for i in row[:room]] or [unknown]
            for word, row in zip(words, ids, strict=True)
        }
        return [[of_word[word] for word in words] for words in sentences]

    def windows(self, sentences):
        """Packs sentences, long ones in several windows.

        Args:
            sentences: list of lists of words.

        Returns:
            list of `Window`. Each word is among the `words` of one of them;
            a sentence without words has none.
        """
        windows = []
        first, last = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        for index, pieces in enumerate(self.pieces(sentences)):
            sizes = [len(ids) for ids in pieces]
            starts = np.concatenate([[0], np.cumsum(sizes)]).astype(int)
            plan = plan_windows(sizes, self.sequence_length - 2)
            for start, end, own_start, own_end in plan:
                token_ids = [i for ids in pieces[start:end] for i in ids]
                words = range(own_start, own_end)
                shift = 1 - starts[start]
                windows.append(
                    Window(
                        index,
                        [first, *token_ids, last],
                        slice(start, end),
                        words,
                        [int(starts[word] + shift) for word in words],
                    )
                )
        return windows

    def pack(self, windows, length=None):
        """The tensors of windows.

        Args:
            windows: list of `Window`.
            length: int, the tokens to pad to; `None`: those of the longest.

        Returns:
            dictionary of `(windows, length)` int32 arrays.
        """
        if length is None:
            length = max(len(window.token_ids) for window in windows)
        pad = self.tokenizer.pad_token_id
        token_ids = np.full((len(windows), length), pad, "int32")
        mask = np.zeros((len(windows), length), "int32")
        for row, window in enumerate(windows):
            token_ids[row, : len(window.token_ids)] = window.token_ids
            mask[row, : len(window.token_ids)] = 1
        segment_ids = np.zeros_like(token_ids)
        return self._packed(token_ids, segment_ids, mask)

    def _call_python(self, x, y, sample_weight):
        single = isinstance(x, (str, bytes)) or getattr(x, "shape", 1) == ()
        sentences = self.sentences([x] if single else x)
        length, room = self.sequence_length, self.sequence_length - 2
        pad = self.tokenizer.pad_token_id
        token_ids = np.full((len(sentences), length), pad, "int32")
        mask = np.zeros((len(sentences), length), "int32")
        classes = np.zeros((len(sentences), length), "int32")
        weights = np.zeros((len(sentences), length), "float32")
        labels = [[]] * len(sentences)
        if y is not None:
            labels = self.classes([y] if single else y, sentences)
        for row, pieces in enumerate(self.pieces(sentences)):
            ids = [i for word in pieces for i in word][:room]
            ids = [
                self.tokenizer.cls_token_id,
                *ids,
                self.tokenizer.sep_token_id,
            ]
            token_ids[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
            position = 1
            for word, label in zip(pieces, labels[row], strict=False):
                if position > room:
                    break
                if label >= 0:
                    classes[row, position] = label
                    weights[row, position] = 1.0
                position += len(word)
        if sample_weight is not None:
            weights *= np.reshape(_numpy(sample_weight), (-1, 1))
        arrays = [token_ids, np.zeros_like(token_ids), mask]
        if y is not None:
            arrays += [classes, weights]
        return self._packed(*([x[0] for x in arrays] if single else arrays))

    # === Graphs ===

    def _call_tf(self, x, y, sample_weight):
        import tensorflow as tf

        single = len(x.shape) == 0
        if single:
            x = tf.expand_dims(x, 0)
        words = _ragged_words(x)
        pieces = self.tokenizer(words.flat_values)
        pieces = pieces.with_row_splits_dtype("int64")
        missing = tf.cast(tf.equal(pieces.row_lengths(), 0), "int64")
        unknown = tf.fill(
            [tf.reduce_sum(missing)],
            tf.cast(self.tokenizer.unknown_token_id, pieces.dtype),
        )
        unknown = tf.RaggedTensor.from_row_lengths(
            unknown, missing, validate=False
        )
        pieces = tf.concat([pieces, unknown], axis=1)
        pieces = pieces[:, : self.sequence_length - 2]
        splits = tf.gather(pieces.row_splits, words.row_splits)

        # Where each place of a row is found: padding, the ends, or a piece.
        rows = tf.RaggedTensor.from_row_splits(
            tf.range(3, 3 + tf.size(pieces.flat_values)),
            splits,
            validate=False,
        )[:, : self.sequence_length - 2]
        first = tf.ones([rows.nrows(), 1], "int32")
        places = tf.concat([first, rows, first + 1], axis=1).to_tensor(
            0, shape=[None, self.sequence_length]
        )

        def packed(flat, first, last, padding):
            ends = tf.cast(tf.stack([padding, first, last]), flat.dtype)
            return tf.gather(tf.concat([ends, flat], axis=0), places)

        token_ids = packed(
            pieces.flat_values,
            self.tokenizer.cls_token_id,
            self.tokenizer.sep_token_id,
            self.tokenizer.pad_token_id,
        )
        mask = packed(tf.ones_like(pieces.flat_values), 1, 1, 0)
        arrays = [token_ids, tf.zeros_like(token_ids), mask]
        if y is not None:
            of_words = self._classes_in_graph(
                tf.expand_dims(y, 0) if single else y, words
            )
            of_pieces = tf.repeat(of_words, pieces.row_lengths())
            is_first = tf.scatter_nd(
                pieces.row_starts()[:, None],
                tf.ones_like(of_words),
                tf.shape(of_pieces, "int64"),
            )
            counts = tf.cast(of_pieces >= 0, "int32") * is_first
            classes = packed(of_pieces * counts, 0, 0, 0)
            weights = tf.cast(packed(counts, 0, 0, 0), "float32")
            if sample_weight is not None:
                weights *= tf.reshape(
                    tf.cast(sample_weight, "float32"), [-1, 1]
                )
            arrays += [classes, weights]
        return self._packed(*([x[0] for x in arrays] if single else arrays))

    def _classes_in_graph(self, y, words):
        import tensorflow as tf

        labels = _ragged_words(y)
        as_many = tf.debugging.assert_equal(
            labels.row_splits,
            words.row_splits,
            "Each word must have one label: the numbers of words and labels "
            "differ.",
        )
        with tf.control_dependencies([as_many]):
            labels = tf.identity(labels.flat_values)
        if labels.dtype != tf.string:
            labels = tf.strings.as_string(labels)
        is_ignored = (labels == IGNORED) | (labels == str(_IGNORED_CLASS))
        if self.labels is None:
            labels = tf.where(is_ignored, "-1", labels)
            return tf.strings.to_number(labels, "int32")
        # A row a word, a column a label.
        labels = tf.strings.regex_replace(labels, SPACES.pattern, "\u00a0")
        names = tf.constant(joined([label] for label in self.labels))
        is_label = labels[:, None] == names[None]
        is_known = tf.reduce_any(is_label, axis=-1) | is_ignored
        all_known = tf.debugging.assert_equal(
            is_known, True, _unknown_label("another", self.labels)
        )
        with tf.control_dependencies([all_known]):
            classes = tf.argmax(is_label, axis=-1, output_type="int32")
        return tf.where(is_ignored, -1, classes)

    # === Both ===

    def call(self, x, y=None, sample_weight=None):
        if self._use_tf_workflow():
            return self._call_tf(x, y, sample_weight)
        return self._call_python(x, y, sample_weight)

    def _packed(self, token_ids, segment_ids, mask, *labels):
        x = {
            "token_ids": token_ids,
            "segment_ids": segment_ids,
            "padding_mask": mask,
        }
        return (x, *labels) if labels else x

    def get_config(self):
        config = super().get_config()
        config.update(
            {"sequence_length": self.sequence_length, "labels": self.labels}
        )
        return config


def joined(rows):
    """Sentences, or labels, as strings with a space between words.

    Args:
        rows: list of strings, or of lists of words or labels.

    Returns:
        list of strings.
    """
    return [
        row
        if isinstance(row, str)
        else join_words(IGNORED if x is None else str(x) for x in row)
        for row in rows
    ]


def _ragged_words(x):
    import tensorflow as tf

    if isinstance(x, tf.RaggedTensor):
        return x.with_row_splits_dtype("int64")
    if len(x.shape) == 2:
        padding = "" if x.dtype == tf.string else None
        return tf.RaggedTensor.from_tensor(x, padding=padding)
    return tf.strings.split(x).with_row_splits_dtype("int64")


def _unknown_label(label, labels):
    if labels is None:
        return (
            f"Without `labels` a label must be a number. Received: {label}; "
            "give the model `labels`."
        )
    names = ", ".join(map(repr, labels[:20]))
    return (
        f"A label must be one of the model's {len(labels)}: {names}"
        f"{' …' if len(labels) > 20 else ''}. Received: {label}."
    )


def _as_list(x):
    """Lists of what came as lists, arrays or tensors, ragged or not."""
    if isinstance(x, (list, tuple)):
        return [_as_list(row) if _is_rows(row) else row for row in x]
    if hasattr(x, "to_list"):
        return x.to_list()
    return _numpy(x).tolist()


def _is_rows(row):
    return not isinstance(row, (str, bytes)) and hasattr(row, "__len__")


def _numpy(x):
    if hasattr(x, "numpy"):
        return np.asarray(x.numpy())
    return np.asarray(x)


def _is_text(value):
    """Whether it is a string in Unicode, or UTF-8."""
    try:
        return bool(isinstance(value, (str, bytes)) and [_text(value).encode()])
    except UnicodeError:
        return False


def _text(value):
    return value.decode() if isinstance(value, bytes) else value
