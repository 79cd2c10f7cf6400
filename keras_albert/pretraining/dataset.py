"""From prepared shards to batches for pretraining, new in every epoch."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from keras_albert.preprocessing.masking import WholeWordMasker
from keras_albert.preprocessing.pretrainer import pretraining_batch
from keras_albert.preprocessing.sentence_order import SentenceOrderPairs
from keras_albert.pretraining.records import (
    PreparedDataset,
    parse_document,
)

# Examples that are shuffled together, in blocks: 32 MB at 512 tokens.
_SHUFFLED_TOGETHER = 8192
_FILES_AT_A_TIME = 4
# What draws from an epoch's seed.
_FILES, _PAIRS, _ORDER, _MASKS = range(4)


@dataclasses.dataclass(frozen=True)
class Position:
    """Where in the data a run is.

    Attributes:
        epoch: int, from 0.
        example: int, examples of this epoch that were taken.
    """

    epoch: int = 0
    example: int = 0


class PretrainingBatches:
    """Masked batches of sentence-order pairs.

    All that is random follows from `seed`, the epoch and the place in it, by
    stateless generators: pairs, order and masks are new in every epoch, and
    the same bytes come from any position on, whatever was read before. An
    epoch's examples are shuffled: the files, and the examples in blocks of
    8,192 (documents come in the order of the files). A batch may begin in one
    epoch and end in the next.

    With several processes each reads files of its own, or documents of its
    own where there are fewer files than processes.

    Args:
        dataset: a `keras_albert.pretraining.records.PreparedDataset`.
        tokenizer: the `AlbertTokenizer` that it was prepared with.
        sequence_length: int, tokens of a row.
        batch_size: int, rows of a batch of this process.
        split: `"train"` or `"dev"`.
        seed: int.
        mask_rate: float, see `WholeWordMasker`.
        process: int, the index of this process.
        processes: int, how many there are.

    Raises:
        ValueError: if the vocabulary is another one, or an argument is out
            of range.
    """

    def __init__(
        self,
        dataset: PreparedDataset,
        tokenizer,
        sequence_length,
        batch_size,
        *,
        split="train",
        seed=0,
        mask_rate=0.15,
        process=0,
        processes=1,
    ):
        dataset.check_vocabulary(tokenizer.proto)
        if batch_size < 1 or not 0 <= process < processes:
            raise ValueError(
                "`batch_size` must be positive, and `process` be from 0 to "
                f"`processes` - 1. Received: batch_size={batch_size}, "
                f"process={process}, processes={processes}."
            )
        self.dataset = dataset
        self.split = split
        self.batch_size = batch_size
        self.sequence_length = sequence_length
        self.seed = seed
        self.process = process
        self.processes = processes
        self.masker = WholeWordMasker(tokenizer, mask_rate=mask_rate)
        self.pairs = SentenceOrderPairs(tokenizer, sequence_length)

    def check_not_empty(self):
        """Raises ValueError if there is no example in the data."""
        try:
            for _ in self._epoch(0).take(1):
                return
        except tf.errors.OpError as error:
            raise explain_failure(self.dataset, error) from error
        raise ValueError(
            f"The {self.split} data must hold at least one document of two "
            f"tokens for each process. {self.dataset.folder} holds "
            f"{self.dataset.count(self.split, 'documents')} documents with "
            f"{self.dataset.count(self.split, 'tokens')} tokens, and there "
            f"are {self.processes} processes; prepare more text."
        )

    def batches(self, start=None):
        """Batches without end.

        Args:
            start: a `Position`; the beginning by default. To find it takes
                the time of cutting pairs up to there, without masking.

        Returns:
            A `tf.data.Dataset` of `(batch, position)`: what `one_epoch`
            gives, always `batch_size` rows, and the position after it as a
            `(2,)` int64 tensor, epoch and example.
        """
        start = start or Position()

        def epoch_from(epoch):
            skipped = tf.where(epoch == start.epoch, start.example, 0)
            return self._epoch(epoch).skip(tf.cast(skipped, tf.int64))

        # As many epochs as an int64 counts.
        epochs = tf.data.Dataset.range(start.epoch, tf.int64.max)
        examples = epochs.flat_map(epoch_from)
        return self._masked(examples.batch(self.batch_size, True))

    def one_epoch(self, epoch=0):
        """The batches of one epoch, the last one as small as it is.

        Args:
            epoch: int, from 0.

        Returns:
            A `tf.data.Dataset` of `(inputs, targets, sample_weights)` as
            `AlbertPretrainer` takes them:
            - `"token_ids"`, `"segment_ids"`, `"padding_mask"`
              `(batch, sequence_length)` int32, and `"mask_positions"`
              `(batch, slots)` int32;
            - `"mlm"` `(batch, slots)` int32 and `"sop"` `(batch,)` int32;
            - `"mlm"` `(batch, slots)` and `"sop"` `(batch,)`, float32.
        """
        masked = self._masked(self._epoch(epoch).batch(self.batch_size))
        return masked.map(lambda batch, position: batch)

    def first_examples(self, count, part=None, parts=1):
        """The first examples of the first epoch, kept in memory.

        Where they fill a batch, what is left over for a smaller one is left
        out: Keras weighs the loss of a batch by its rows, and parts of a
        batch must have as many as others.

        Args:
            count: int, examples at most.
            part: int, which of equal parts of each batch is wanted. A batch
                that is not full is filled up with rows of no weight.
                `None`: whole batches.
            parts: int, how many parts a batch has.

        Returns:
            A `tf.data.Dataset` of known size, as `one_epoch`; `None` if
            there is no example.
        """
        taken = math.ceil(count / self.batch_size)
        try:
            batches = list(self.one_epoch().take(taken).as_numpy_iterator())
        except tf.errors.OpError as error:
            raise explain_failure(self.dataset, error) from error
        if not batches:
            return None
        count = min(count, sum(len(weights["sop"]) for *_, weights in batches))
        count = count - count % self.batch_size or count
        arrays = tf.nest.map_structure(
            lambda *arrays: np.concatenate(arrays)[:count], *batches
        )
        if part is not None:
            arrays = self._part(arrays, part, parts)
        rows = self.batch_size // parts
        return tf.data.Dataset.from_tensor_slices(arrays).batch(rows)

    def _part(self, arrays, part, parts):
        inputs, targets, weights = arrays
        missing = -len(weights["sop"]) % self.batch_size

        def rows(array, mode):
            padding = [(0, missing)] + [(0, 0)] * (array.ndim - 1)
            batches = np.pad(array, padding, mode).reshape(
                (-1, parts, self.batch_size // parts, *array.shape[1:])
            )
            return np.concatenate(batches[:, part])

        inputs, targets = tf.nest.map_structure(
            lambda array: rows(array, "edge"), (inputs, targets)
        )
        weights = tf.nest.map_structure(
            lambda array: rows(array, "constant"), weights
        )
        return inputs, targets, weights

    def _seed(self, epoch, use):
        # The files' order is that of all processes, who share documents out.
        process = 0 if use == _FILES else self.process
        seed = tf.constant([self.seed, process], tf.int32)
        for part in (epoch, use):
            seed = tf.random.fold_in(seed, tf.cast(part, tf.int32))
        return seed

    def _epoch(self, epoch):
        """Examples of an epoch, each with its position."""
        documents = self._documents(epoch)
        pairs_seed = self._seed(epoch, _PAIRS)

        def cut(index, record):
            document = parse_document(record)
            return self.pairs(
                document["token_ids"],
                document["segment_lengths"],
                tf.random.fold_in(pairs_seed, tf.cast(index, tf.int32)),
            )

        order_seed = self._seed(epoch, _ORDER)

        def shuffle(index, block):
            order = tf.random.experimental.stateless_shuffle(
                tf.range(tf.shape(block["sop"])[0]),
                tf.random.fold_in(order_seed, tf.cast(index, tf.int32)),
            )
            return tf.nest.map_structure(lambda x: tf.gather(x, order), block)

        examples = _parallel_map(documents.enumerate(), cut).unbatch()
        blocks = examples.batch(_SHUFFLED_TOGETHER).enumerate()
        examples = blocks.map(shuffle).unbatch().enumerate(1)
        return examples.map(
            lambda index, example: {
                **example,
                "position": tf.stack([tf.cast(epoch, tf.int64), index]),
            }
        )

    def _documents(self, epoch):
        paths = self.dataset.paths(self.split)
        by_file = len(paths) >= self.processes
        if by_file:
            paths = paths[self.process :: self.processes]
        if not paths:
            return tf.data.Dataset.from_tensor_slices(tf.zeros([0], tf.string))
        files = tf.data.Dataset.from_tensor_slices(
            tf.random.experimental.stateless_shuffle(
                paths, self._seed(epoch, _FILES)
            )
        )
        documents = files.interleave(
            lambda path: tf.data.TFRecordDataset(path, "GZIP"),
            cycle_length=_FILES_AT_A_TIME,
            num_parallel_calls=_FILES_AT_A_TIME,
            deterministic=True,
        )
        if by_file:
            return documents
        return documents.shard(self.processes, self.process)

    def _masked(self, batches):
        def mask(batch):
            position = batch["position"][0]
            seed = tf.random.fold_in(
                self._seed(position[0], _MASKS), tf.cast(position[1], tf.int32)
            )
            masked = self.masker(batch["token_ids"], seed)
            examples = pretraining_batch(self.masker, batch, masked)
            return examples, batch["position"][-1]

        return _parallel_map(batches, mask).prefetch(tf.data.AUTOTUNE)


def explain_failure(dataset, error):
    """What is wrong with data that TensorFlow could not read.

    Args:
        dataset: a `PreparedDataset`.
        error: the `tf.errors.OpError`.

    Returns:
        An exception that names the shard, if it is one that was damaged.
    """
    try:
        dataset.check_shards(contents=True)
    except (OSError, ValueError) as damage:
        return damage
    return ValueError(
        f"The data in {dataset.folder} must be readable. Reading it failed: "
        f"{error.message}"
    )


def _parallel_map(dataset, function):
    return dataset.map(
        function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )


def write_masked_examples(batches, path, epochs=1):
    """Writes examples masked once and for all, as the original's script does.

    For comparison, and for training code that expects such files: a TFRecord
    file of `tf.train.Example` with the feature names of
    google-research/albert `create_pretraining_data.py`: `input_ids`,
    `input_mask`, `segment_ids`, `masked_lm_positions`, `masked_lm_ids`,
    `masked_lm_weights`, `next_sentence_labels`.

    Args:
        batches: a `PretrainingBatches`.
        path: string or path of the file to write.
        epochs: int, how often each document is used, each time with other
            pairs and masks (the original's `dupe_factor`).

    Returns:
        int, the number of examples.
    """
    from keras_albert.presets.saving import whole_file

    count = 0
    with whole_file(path) as partial, tf.io.TFRecordWriter(partial) as writer:
        for epoch in range(epochs):
            for batch in batches.one_epoch(epoch).as_numpy_iterator():
                for example in _original_examples(*batch):
                    writer.write(example.SerializeToString())
                    count += 1
    return count


def _original_examples(inputs, targets, weights):
    integers = {
        "input_ids": inputs["token_ids"],
        "input_mask": inputs["padding_mask"],
        "segment_ids": inputs["segment_ids"],
        "masked_lm_positions": inputs["mask_positions"],
        "masked_lm_ids": targets["mlm"],
        "next_sentence_labels": targets["sop"][:, None],
    }
    for row in range(len(targets["sop"])):
        features = {
            name: tf.train.Feature(
                int64_list=tf.train.Int64List(value=values[row])
            )
            for name, values in integers.items()
        }
        features["masked_lm_weights"] = tf.train.Feature(
            float_list=tf.train.FloatList(value=weights["mlm"][row])
        )
        yield tf.train.Example(features=tf.train.Features(feature=features))
