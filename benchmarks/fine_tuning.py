r"""Fine-tuning from texts: examples a second, beside KerasHub, Hugging Face.

    KERAS_BACKEND=torch python benchmarks/fine_tuning.py DATA [--rounds 3]
        [--size base] [--texts 384] [--batch-size 32] [--json FILE]

Training texts of SST-2 from the data folder that docs/data.md describes, drawn
at random, and ALBERT-base with random weights, the same for all:

- here: batches of similar lengths with the automatic budget of tokens, as
  `keras-albert train classify` has them, on KERAS_BACKEND;
- KerasHub: its `AlbertTextClassifier` on the same backend, its preprocessor
  with the shortest `sequence_length` that cuts off less than 1 % of all
  training texts;
- Hugging Face, always on torch: its fast tokenizer, shuffled batches padded to
  their longest text, PyTorch's fused AdamW.

All have AdamW, gradients clipped to a global norm of 1, and dropout of 0.1.
First the logits of all three are compared. Then each trains one epoch a turn,
from strings, tokenizing included, in turns and in one process, after an epoch
(here) or two batches (the others, which have one shape or compile nothing)
that compile what there is to compile. Figures are medians. The exit code is 1
if logits, numbers of examples or losses do not agree.

A few hundred texts are grouped less well by length than all of them: here they
have about a tenth more padding than in an epoch of all, which is printed, too.

The ratio to Hugging Face compares like with like on torch only: on other
backends it is also one of TensorFlow or JAX to torch.
"""

import argparse
import json
import sys
import time

import keras
import keras_nlp
import numpy as np
import peers
import tensorflow as tf
import torch

from keras_albert.training.batches import (
    LengthBatches,
    TokenizedTexts,
    text_batches,
)
from keras_albert.training.run import (
    GLOBAL_CLIPNORM,
    NOT_DECAYED,
    WEIGHT_DECAY,
)

TARGETS = {"KerasHub": 2.0, "Hugging Face": 1.5}
LEARNING_RATE = 1e-5  # the original's for SST-2
CUT_OFF = 0.01
COMPARED = 32  # texts whose logits are compared
# Mean losses of an epoch, each with dropout of its own, on the same texts.
LOSSES_DIFFER = 0.1


def compile_alike(task, jit_compile):
    optimizer = keras.optimizers.AdamW(
        LEARNING_RATE,
        weight_decay=WEIGHT_DECAY,
        global_clipnorm=GLOBAL_CLIPNORM,
    )
    optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    task.compile(optimizer=optimizer, jit_compile=jit_compile)


def trained(task, logs):
    """The examples that a Keras model has counted, and their mean loss."""
    [loss] = [metric for metric in task.metrics if metric.name == "loss"]
    return int(keras.ops.convert_to_numpy(loss.count)), logs["loss"][-1]


class Ours:
    """This package, as its command line trains.

    Of each contender `padded` is the tokens of an epoch, padding counted.
    """

    def __init__(self, task, data, args):
        self.task, self.data, self.args = task, data, args
        compile_alike(task, keras.backend.backend() == "jax")

    def logits(self, texts):
        return self.task.predict_by_length(texts)

    def epoch(self):
        batches = text_batches(
            self.task,
            self.data,
            self.args.batch_size,
            self.args.seed,
            tokens_per_batch="auto",
        )
        self.padded = sum(len(rows) * n for rows, n in batches.plan(0))
        logs = self.task.fit(batches.dataset(0), shuffle=False, verbose=0)
        return trained(self.task, logs.history)

    def warm_up(self):
        self.epoch()


class KerasHub:
    """KerasHub's classifier, all texts padded to one length."""

    def __init__(self, ours, data, args, length):
        self.data, self.args = data, args
        self.padded = len(data[0]) * length
        tokenizer = keras_hub_tokenizer(args)
        self.task = ours.to_keras_hub()
        self.task.preprocessor = (
            keras_nlp.models.AlbertTextClassifierPreprocessor(
                tokenizer, sequence_length=length
            )
        )
        jit_compile = keras.backend.backend() == "jax"
        if args.keras_hub_xla:
            jit_compile = "auto"
        compile_alike(self.task, jit_compile)

    def logits(self, texts):
        return self.task.predict(texts, batch_size=32, verbose=0)

    def fit(self, texts, targets):
        dataset = tf.data.Dataset.from_tensor_slices((texts, targets))
        dataset = dataset.shuffle(len(texts), seed=self.args.seed)
        dataset = dataset.batch(self.args.batch_size)
        logs = self.task.fit(dataset, shuffle=False, verbose=0)
        return trained(self.task, logs.history)

    def epoch(self):
        return self.fit(*self.data)

    def warm_up(self):
        few = 2 * self.args.batch_size
        self.fit(*(values[:few] for values in self.data))


class HuggingFace:
    """The torch model of `transformers`, batches padded to their longest."""

    def __init__(self, model, tokenizer, data, args):
        self.model, self.tokenizer = model, tokenizer
        self.data, self.args = data, args
        self.random = np.random.default_rng(args.seed)
        decays, others = [], []
        for name, parameter in model.named_parameters():
            is_plain = name.endswith("bias") or (
                "layernorm" in name.lower().replace("_", "")
            )
            (others if is_plain else decays).append(parameter)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decays, "weight_decay": WEIGHT_DECAY},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=LEARNING_RATE,
            fused=True,
        )

    def encode(self, texts):
        return self.tokenizer(
            texts, truncation=True, return_token_type_ids=True
        )

    def logits(self, texts):
        encoded = self.encode(texts)
        self.model.eval()
        with torch.inference_mode():
            batch = peers.hugging_face_batch(
                self.tokenizer, encoded, range(len(texts))
            )
            return self.model(**batch).logits.numpy()

    def fit(self, texts, targets):
        encoded = self.encode(texts)
        self.model.train()
        order = self.random.permutation(len(texts))
        seen, total, self.padded = 0, 0.0, 0
        for start in range(0, len(order), self.args.batch_size):
            rows = order[start : start + self.args.batch_size]
            batch = peers.hugging_face_batch(self.tokenizer, encoded, rows)
            self.padded += batch["input_ids"].numel()
            labels = torch.from_numpy(targets[rows]).long()
            loss = self.model(**batch, labels=labels).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(
                self.model.parameters(), GLOBAL_CLIPNORM
            )
            self.optimizer.step()
            self.optimizer.zero_grad()
            seen += len(rows)
            total += len(rows) * float(loss.detach())
        return seen, total / seen

    def epoch(self):
        return self.fit(*self.data)

    def warm_up(self):
        few = 2 * self.args.batch_size
        self.fit(*(values[:few] for values in self.data))


def keras_hub_tokenizer(args):
    return keras_nlp.models.AlbertTokenizer(
        proto=str(peers.vocabulary_of(args))
    )


def shortest_length(tokens):
    """The shortest length that cuts off less than 1 % of texts.

    Args:
        tokens: `(texts,)` int.
    """
    length = int(np.quantile(tokens, 1 - CUT_OFF, method="inverted_cdf"))
    while (tokens > length).mean() >= CUT_OFF:
        length += 1
    return length


def padded_tokens(tokens, maximum, args):
    """Tokens an example in an epoch, padding counted, by contender.

    Args:
        tokens: `(texts,)` int, of all training texts.
        maximum: int, the longest that there can be.
        args: the parsed arguments.

    Returns:
        dictionary of floats, of batches of similar lengths and of shuffled
        ones.
    """
    of_all = int(tokens.sum())
    texts = TokenizedTexts(
        token_ids=np.zeros(of_all, "int32"),
        segment_ids=np.zeros(of_all, "int32"),
        offsets=np.concatenate([[0], np.cumsum(tokens)]),
        pad_token_id=0,
        maximum=maximum,
    )
    batches = LengthBatches(
        texts, np.zeros(len(tokens)), args.batch_size, args.seed, "auto"
    )
    ours = sum(len(rows) * length for rows, length in batches.plan(0))
    shuffled = np.random.default_rng(args.seed).permutation(tokens)
    theirs = sum(
        len(batch) * batch.max()
        for batch in np.split(
            shuffled, range(args.batch_size, len(tokens), args.batch_size)
        )
    )
    return {
        "keras_albert": ours / len(tokens),
        "Hugging Face": float(theirs) / len(tokens),
    }


def alike(texts, ids, tokenizer, length):
    """The texts that KerasHub neither cuts off nor tokenizes otherwise.

    Args:
        texts: list of strings.
        ids: KerasHub's ids of them.
        tokenizer: ours.
        length: int, KerasHub's.
    """
    ours = tokenizer.tokenize(texts)
    chosen = [
        text
        for text, here, there in zip(texts, ours, ids, strict=True)
        if list(here) == list(there) and len(there) + 2 <= length
    ]
    print(
        f"KerasHub has the same ids for {len(chosen)} of {len(texts)} texts, "
        "on which logits are compared"
    )
    return chosen


def check_trained(results, count):
    """Raises SystemExit unless all saw all examples, with like losses."""
    for turn in zip(*results.values(), strict=True):
        losses = [loss for _, loss in turn]
        if any(seen != count for seen, _ in turn):
            sys.exit(f"Each must see {count} examples. They saw: {turn}.")
        if not max(losses) - min(losses) <= LOSSES_DIFFER:
            sys.exit(f"Losses must be alike. They are: {losses}.")
    last = {name: values[-1][1] for name, values in results.items()}
    print(
        f"each saw {count} examples an epoch; mean losses of the last: "
        + ", ".join(f"{name} {loss:.3f}" for name, loss in last.items())
    )
    return last


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    peers.add_arguments(parser)
    add = parser.add_argument
    add("--texts", type=int, default=384, help="training texts [384]")
    add("--batch-size", type=int, default=32, help="[32]")
    add(
        "--keras-hub-xla",
        action="store_true",
        help="Keras's own choice of XLA on TensorFlow, which is on",
    )
    args = parser.parse_args(argv)

    texts, targets = peers.read_sst2(args.data, "train")
    ids = keras_hub_tokenizer(args)(texts)
    tokens = np.array([len(row) for row in ids]) + 2  # `[CLS]` and `[SEP]`
    length = shortest_length(tokens)
    rows = np.random.default_rng(args.seed).choice(
        len(texts), args.texts, replace=False
    )
    data = [texts[i] for i in rows], targets[rows]
    cut_off = float((tokens > length).mean())
    print(
        f"KerasHub's length {length} cuts off {100 * cut_off:.2f} % of "
        f"{len(texts):,} texts; on average these have {tokens.mean():.1f} "
        f"tokens, the {args.texts} drawn ones {tokens[rows].mean():.1f}"
    )
    task, model, tokenizer = peers.make_pair(args)
    contenders = {
        "keras_albert": Ours(task, data, args),
        "KerasHub": KerasHub(task, data, args, length),
        "Hugging Face": HuggingFace(model, tokenizer, data, args),
    }
    of_all = padded_tokens(tokens, task.preprocessor.sequence_length, args)
    print(
        "tokens an example of all texts, padding counted: "
        + ", ".join(f"{name} {value:.1f}" for name, value in of_all.items())
    )
    few = alike(
        data[0][:COMPARED],
        [ids[i] for i in rows[:COMPARED]],
        task.preprocessor.tokenizer,
        length,
    )
    agreement = peers.check_same(
        {name: x.logits(few) for name, x in contenders.items()}
    )
    first_seconds = {}
    for name, contender in contenders.items():
        began = time.perf_counter()
        contender.warm_up()
        first_seconds[name] = time.perf_counter() - began
    seconds, results = peers.time_in_turns(
        {name: x.epoch for name, x in contenders.items()}, args.rounds
    )
    losses = check_trained(results, args.texts)
    rates = peers.rates_of(seconds, args.texts)
    backend = keras.backend.backend()
    print(
        f"{args.texts} texts, batches of {args.batch_size}, "
        f"ALBERT-{args.size}, {args.rounds} rounds"
    )
    print("| trained by | on | tokens, padded | examples/s | ratio | target |")
    print("|---|---|---|---|---|---|")
    padded = {name: x.padded / args.texts for name, x in contenders.items()}
    ratios = {}
    for name, rate in rates.items():
        on = "torch" if name == "Hugging Face" else backend
        cells = "| |"
        if name in TARGETS:
            ratios[name] = rates["keras_albert"] / rate
            cells = f"{ratios[name]:.2f} | {TARGETS[name]} |"
        tokens = f"{padded[name]:.1f}"
        print(f"| {name} | {on} | {tokens} | {rate:.2f} | {cells}")
    print(
        "the first epoch here, with compilation: "
        f"{first_seconds['keras_albert']:.1f} s"
    )
    if args.json:
        report = {
            "backend": backend,
            "size": args.size,
            "texts": args.texts,
            "batch_size": args.batch_size,
            "keras_hub_length": length,
            "keras_hub_cut_off": cut_off,
            "agreement": agreement,
            "losses": losses,
            "padded_tokens_an_example": padded,
            "padded_tokens_an_example_of_all": of_all,
            "first_seconds": first_seconds,
            "seconds": seconds,
            "examples_per_second": rates,
            "ratios": ratios,
            "targets": TARGETS,
        }
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
