"""One ALBERT classifier here, in Hugging Face's library and in KerasHub.

The same weights on all sides, by this package's converters, so that outputs
can be compared before anything is timed.
"""

import pathlib
import statistics
import sys
import tempfile
import time

import numpy as np

from keras_albert.checkpoints import huggingface, huggingface_tokenizer
from keras_albert.tasks.loading import load_preset
from keras_albert.training.text_classification import (
    TextFiles,
    make_classifier,
)

# Sizes of a model from random weights, as `AlbertBackbone` calls them.
SIZES = {
    "base": {
        "num_layers": 12,
        "num_heads": 12,
        "embedding_dim": 128,
        "hidden_dim": 768,
        "intermediate_dim": 3072,
    },
    "small": {
        "num_layers": 4,
        "num_heads": 4,
        "embedding_dim": 128,
        "hidden_dim": 256,
        "intermediate_dim": 1024,
    },
}
LABELS = ["negative", "positive"]
# Of float32 logits summed up in another order, of how much they vary.
TOLERANCE = 1e-3


def add_arguments(parser):
    add = parser.add_argument
    add("data", type=pathlib.Path, help="folder of docs/data.md")
    add("--size", choices=SIZES, default="base", help="[base]")
    add("--vocabulary", type=pathlib.Path, help="SentencePiece [DATA's]")
    add("--rounds", type=int, default=3, help="[3]")
    add("--seed", type=int, default=0, help="[0]")
    add("--json", type=pathlib.Path, metavar="FILE", help="write all figures")


def read_sst2(folder, part):
    """Texts and `(texts,)` int classes of `train` or `dev` of SST-2."""
    [path] = (folder / "glue" / "SST-2").glob(f"{part}.tsv*")
    files = TextFiles("sentence", "label")
    rows = files.read(path)
    return rows.texts, files.targets(rows, ["0", "1"])


def vocabulary_of(args):
    return args.vocabulary or args.data / "albert_vocab" / "spiece.model"


def make_pair(args, weights=None):
    """The same classifier here and in `transformers`.

    Both are loaded from one folder, tokenizer and all.

    Args:
        args: the parsed arguments of `add_arguments`.
        weights: function that is given the model of random weights first.

    Returns:
        An `AlbertTextClassifier`, a
        `transformers.AlbertForSequenceClassification` and its fast tokenizer.
    """
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    model = make_classifier(
        labels=LABELS,
        vocabulary=str(vocabulary_of(args)),
        sizes=SIZES[args.size],
        seed=args.seed,
    )
    if weights is not None:
        weights(model)
    with tempfile.TemporaryDirectory() as folder:
        huggingface.write(model, folder)
        huggingface_tokenizer.write_tokenizer(
            model.preprocessor.tokenizer, folder
        )
        theirs = transformers.AlbertForSequenceClassification.from_pretrained(
            folder
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        ours = load_preset(folder)
    if not tokenizer.is_fast:
        raise TypeError("The tokenizer must be Hugging Face's fast one.")
    return ours, theirs, tokenizer


def hugging_face_batch(tokenizer, encoded, rows):
    """Tensors of some texts, padded to the longest of them."""
    return tokenizer.pad(
        {name: [values[i] for i in rows] for name, values in encoded.items()},
        return_tensors="pt",
    )


def check_same(outputs):
    """Raises SystemExit unless several models gave the same logits.

    Args:
        outputs: dictionary of `(texts, classes)` float arrays by name.

    Returns:
        The largest |Δ| to the first, and the spread of the first: the
        standard deviation of a logit over the texts.
    """
    first, *others = outputs.values()
    difference = max(float(np.abs(other - first).max()) for other in others)
    spread = float(first.std(axis=0).mean())
    print(
        f"the same weights in {', '.join(outputs)}: logits differ by at most "
        f"{difference:.1e}, and vary by {spread:.1e} from text to text"
    )
    if not difference <= TOLERANCE * spread:
        sys.exit("All must compute the same. They do not.")
    return {"largest_difference": difference, "spread": spread}


def time_in_turns(contenders, rounds):
    """Seconds of functions that are called in turns.

    Args:
        contenders: dictionary of functions by name.
        rounds: int.

    Returns:
        dictionary of lists of seconds, and of lists of what was returned.
    """
    seconds = {name: [] for name in contenders}
    results = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(rounds):
        # Each is as often first as last.
        for name in names if turn % 2 == 0 else reversed(names):
            began = time.perf_counter()
            results[name].append(contenders[name]())
            seconds[name].append(time.perf_counter() - began)
    return seconds, results


def rates_of(seconds, count):
    """Medians of a number of texts a second, by name."""
    return {
        name: count / statistics.median(values)
        for name, values in seconds.items()
    }
