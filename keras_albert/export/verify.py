"""Proof that an exported file computes what the model computes."""

import contextlib
import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
import tempfile

import keras
import numpy as np

from keras_albert.export.litert_conversion import (
    INPUT_NAMES,
    POSITIONS_NAME,
    fixed_length,
    named_outputs,
)
from keras_albert.tasks.loading import load_preset
from keras_albert.tasks.task import batches_by_length

# For each format: the script that runs it, the package of its runtime, and
# how that is installed.
RUNTIMES = {
    "litert": ("run_litert.py", "ai_edge_litert", "ai-edge-litert"),
    "onnx": ("run_onnx.py", "onnxruntime", "onnxruntime"),
    "saved_model": (
        "run_saved_model.py",
        "tensorflow_text",
        "tensorflow-text",
    ),
}
_RUNTIMES_FOLDER = os.path.join(os.path.dirname(__file__), "runtimes")

MINIMUM_EXAMPLES = 200
LATENCY_TOKENS = 128
THREADS = 2

# Largest |Δ| of an output, by the smallest type that the weights of a file
# are stored in, and the share of equal labels among the examples whose two
# best classes are further apart than that. Float32 differs by the order of
# sums alone. A shared layer repeats the rounding error of its weights at
# each application, hence the room for the quantized types: measured on
# ALBERT-base with random weights, int8 is off by 2 % of the output's mean.
TOLERANCES = {
    "float32": {"max_abs_diff": 1e-4, "label_agreement": 1.0},
    "float16": {"max_abs_diff": 2e-2, "label_agreement": 1.0},
    "int8": {"max_abs_diff": 0.25, "label_agreement": 0.99},
}
# Outputs that are no probabilities have a scale of their own: their |Δ| is
# taken relative to the root mean square of the model's output.
_RELATIVE_OUTPUTS = (
    "sequence_output",
    "pooled_output",
    "logits",
    "mlm",
    "sop",
    "start_logits",
    "end_logits",
    "embeddings",
)


class VerificationError(ValueError):
    """An artifact that does not compute what its model computes.

    Attributes:
        report: the `Report`, or `None` when the artifact did not run.
    """

    def __init__(self, message, report=None):
        super().__init__(message)
        self.report = report


@dataclasses.dataclass
class Report:
    """What `verify` measured.

    Attributes:
        artifact: path of the file.
        format: `"litert"`, `"onnx"` or `"saved_model"`.
        quantization: `"float32"`, `"float16"` or `"int8"`, as found in it.
        bytes: size of the file, or of all files of the folder.
        examples: number of examples compared.
        outputs: for each output its largest and its mean |Δ|.
        label_agreement: share of examples with the same label, or `None`
            when the outputs are no classes.
        clear_label_agreement: the same among the examples whose two best
            classes lie further apart than the tolerance.
        memory: bytes above the bare runtime, resident and at the peak,
            after the file was run at `latency["tokens"]`; `None` where the
            system does not tell.
        latency: milliseconds of the first and of the median run.
        tolerances: what had to be kept.
        failures: sentences, one a tolerance that was not kept.
    """

    artifact: str
    format: str
    quantization: str
    bytes: int
    examples: int
    outputs: dict
    label_agreement: float | None
    clear_label_agreement: float | None
    memory: dict
    latency: dict
    tolerances: dict
    failures: list

    @property
    def passed(self) -> bool:
        """Whether every tolerance was kept."""
        return not self.failures

    @property
    def max_abs_diff(self) -> float:
        """The largest |Δ| of all outputs."""
        return max(output["max_abs_diff"] for output in self.outputs.values())

    def to_dict(self) -> dict:
        """The report as a dictionary that JSON can hold."""
        return {**dataclasses.asdict(self), "passed": self.passed}

    def __str__(self):
        rows = [
            ("artifact", self.artifact),
            ("weights", self.quantization),
            ("file", f"{self.bytes / 1e6:.2f} MB"),
            ("examples", str(self.examples)),
        ]
        for name, output in self.outputs.items():
            rows.append(
                (
                    name,
                    f"max |Δ| {output['max_abs_diff']:.2e}, "
                    f"mean |Δ| {output['mean_abs_diff']:.2e}",
                )
            )
        if self.label_agreement is not None:
            rows.append(("same label", f"{100 * self.label_agreement:.2f} %"))
        if self.memory["resident"] is not None:
            rows.append(
                (
                    "memory",
                    f"{self.memory['resident'] / 1e6:.1f} MB resident, "
                    f"{self.memory['peak'] / 1e6:.1f} MB at the peak",
                )
            )
        rows.append(
            (
                "latency",
                f"{self.latency['first_ms']:.1f} ms first, "
                f"{self.latency['median_ms']:.1f} ms median, "
                f"{self.latency['tokens']} tokens",
            )
        )
        rows.append(("verdict", "passed" if self.passed else "FAILED"))
        rows.extend(("", failure) for failure in self.failures)
        return "\n".join(f"{name:<16} {value}" for name, value in rows)


def verify(
    model: keras.Model | str | os.PathLike,
    artifact: str | os.PathLike,
    examples: list | None = None,
) -> Report:
    """Runs an artifact in its own runtime and compares it with its model.

    The artifact runs in a process of its own that has nothing but the
    runtime, one example after the other, each at its own length.

    Args:
        model: the task or `AlbertBackbone` that was exported, or its preset.
        artifact: string or path of the `.tflite` or `.onnx` file, or of the
            SavedModel's folder.
        examples: list of strings or of pairs as 2-tuples. `None` takes 200
            texts drawn from the vocabulary: empty, of one token, of full
            length and pairs among them.

    Returns:
        A `Report`.

    Raises:
        VerificationError: if the artifact does not run, has other outputs
            than the model, or differs from it by more than `TOLERANCES`.
        ValueError: if the artifact is of none of the formats.
        FileNotFoundError: if there is no such artifact.
        ImportError: if the format's runtime is not installed.
    """
    artifact = os.fspath(artifact)
    format_ = artifact_format(artifact)
    if not isinstance(model, keras.Model):
        model = load_preset(model, dtype="float32")
    longest = _fixed_length(artifact, format_)
    texts, features = example_features(model, examples, longest=longest)
    measured, actual = _run(model, artifact, format_, features, texts, longest)
    expected = model_outputs(model, features)
    report = _compare(model, artifact, format_, expected, actual, measured)
    if not report.passed:
        raise VerificationError(
            f"{artifact!r} does not compute what the model computes: "
            + " ".join(report.failures),
            report,
        )
    return report


def artifact_format(artifact: str) -> str:
    """The format of an exported file or folder.

    Args:
        artifact: string, path.

    Returns:
        A key of `RUNTIMES`.

    Raises:
        FileNotFoundError: if there is no such file or folder.
        ValueError: if it is of no known format.
    """
    if not os.path.exists(artifact):
        raise FileNotFoundError(
            f"The artifact must exist. There is no {artifact!r}."
        )
    if os.path.isfile(os.path.join(artifact, "saved_model.pb")):
        return "saved_model"
    for suffix, name in ((".tflite", "litert"), (".onnx", "onnx")):
        if artifact.endswith(suffix) and os.path.isfile(artifact):
            return name
    raise ValueError(
        "The artifact must be a `.tflite` or `.onnx` file or the folder of a "
        f"SavedModel. Received: {artifact!r}."
    )


def _fixed_length(artifact, format_):
    """The only length that an artifact takes, or `None` for any."""
    if format_ != "litert":
        return None
    with open(artifact, "rb") as file:
        return fixed_length(file.read())


def _artifact_bytes(artifact):
    if os.path.isfile(artifact):
        return os.path.getsize(artifact)
    return sum(
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(artifact)
        for name in names
    )


def example_features(model, examples=None, seed=0, longest=None):
    """The inputs that artifact and model are compared on.

    Args:
        model: a task or an `AlbertBackbone`.
        examples: list of strings or pairs, or `None`, see `verify`.
        seed: int, of the default examples.
        longest: optional int, tokens that examples are cut to.

    Returns:
        The texts, or `None`, and a list of dictionaries of `(1, tokens)`
        int32 arrays, unpadded, one an example.
    """
    preprocessor = getattr(model, "preprocessor", None)
    if preprocessor is None:
        if examples is not None:
            raise ValueError(
                "A model without a preprocessor cannot take texts. Pass "
                "`examples=None`, or the model with its preprocessor."
            )
        return None, _random_features(model, seed, longest)
    with _at_most(preprocessor, longest):
        if examples is None:
            examples = default_texts(preprocessor, seed)
        return examples, [_unpadded(preprocessor, text) for text in examples]


@contextlib.contextmanager
def _at_most(preprocessor, longest):
    """Has a preprocessor cut texts to a length meanwhile."""
    before = preprocessor.sequence_length
    preprocessor.sequence_length = min(before, longest or before)
    try:
        yield
    finally:
        preprocessor.sequence_length = before


def _unpadded(preprocessor, text):
    if isinstance(text, tuple):
        batch = tuple([part] for part in text)
    else:
        batch = [text]
    features = {
        name: np.asarray(keras.ops.convert_to_numpy(value))
        for name, value in preprocessor(batch, y=None).items()
    }
    tokens = int(features["padding_mask"].sum())
    return {
        name: features[name][:, :tokens].astype("int32") for name in INPUT_NAMES
    }


def default_texts(preprocessor, seed=0):
    """200 texts and pairs of random pieces, extremes among them.

    Args:
        preprocessor: a preprocessor with a tokenizer.
        seed: int.

    Returns:
        list of strings and of pairs of strings as 2-tuples.
    """
    generator = np.random.default_rng(seed)
    tokenizer = preprocessor.tokenizer
    vocabulary_size = tokenizer.vocabulary_size()
    longest = preprocessor.sequence_length

    def text(pieces):
        ids = generator.integers(5, vocabulary_size, size=pieces)
        return tokenizer.detokenize(ids.tolist())

    lengths = generator.integers(2, min(48, longest), size=MINIMUM_EXAMPLES)
    texts = ["", text(1), text(longest), (text(longest), text(longest))]
    for index, pieces in enumerate(lengths[len(texts) :]):
        texts.append(
            (text(pieces), text(4)) if index % 4 == 0 else text(pieces)
        )
    return texts


def _random_features(model, seed, longest=None):
    backbone = getattr(model, "backbone", model)
    generator = np.random.default_rng(seed)
    longest = longest or backbone.max_sequence_length
    lengths = generator.integers(2, min(48, longest) + 1, MINIMUM_EXAMPLES)
    lengths[:2] = 2, longest
    features = []
    for tokens in lengths:
        second = generator.integers(1, tokens + 1)
        features.append(
            {
                "token_ids": generator.integers(
                    0, backbone.vocabulary_size, (1, tokens)
                ),
                "segment_ids": (np.arange(tokens) >= second)[None],
                "padding_mask": np.ones((1, tokens)),
            }
        )
        if POSITIONS_NAME in model.input:
            features[-1][POSITIONS_NAME] = second - np.ones((1, 1))
    return [
        {name: x.astype("int32") for name, x in example.items()}
        for example in features
    ]


def model_outputs(model, features):
    """What the model computes, as the exported file names its outputs.

    Args:
        model: a task or an `AlbertBackbone`.
        features: list of dictionaries of `(1, tokens)` arrays.

    Returns:
        dictionary of output names and lists of arrays, one an example, the
        sequence outputs cut to the tokens.
    """
    longest = max(example["token_ids"].shape[1] for example in features)
    padded = {
        name: np.concatenate(
            [
                np.pad(x[name], ((0, 0), (0, longest - x[name].shape[1])))
                for x in features
            ]
        )
        if name in INPUT_NAMES
        else np.concatenate([x[name] for x in features])
        for name in features[0]
    }
    results = {}
    for rows, batch in batches_by_length(padded):
        outputs = keras.Model.predict_on_batch(model, batch)
        for name, values in named_outputs(model, outputs).items():
            values = keras.ops.convert_to_numpy(values)
            by_row = results.setdefault(name, [None] * len(features))
            for row, value in zip(rows, values, strict=False):
                tokens = features[row]["token_ids"].shape[1]
                if value.ndim == 2 or name in ("start_logits", "end_logits"):
                    value = value[:tokens]
                by_row[row] = np.asarray(value, dtype="float32")[None]
    return results


def _run(model, artifact, format_, features, texts, longest=None):
    script, package, distribution = RUNTIMES[format_]
    if importlib.util.find_spec(package) is None:
        raise ImportError(
            f"Running {artifact!r} needs `{distribution}`. Install it with "
            "`pip install keras-albert[export]`."
        )
    backbone = getattr(model, "backbone", model)
    longest = longest or backbone.max_sequence_length
    tokens = min(LATENCY_TOKENS, longest)
    generator = np.random.default_rng(0)
    arrays = {
        "latency/token_ids": generator.integers(
            0, backbone.vocabulary_size, (1, tokens)
        ),
        "latency/segment_ids": np.zeros((1, tokens)),
        "latency/padding_mask": np.ones((1, tokens)),
    }
    if POSITIONS_NAME in model.input:
        arrays[f"latency/{POSITIONS_NAME}"] = np.zeros((1, 1))
    for index, example in enumerate(features):
        for name, value in example.items():
            arrays[f"{name}/{index}"] = value
    with tempfile.TemporaryDirectory() as folder:
        examples_path = os.path.join(folder, "examples.npz")
        results_path = os.path.join(folder, "results.npz")
        np.savez(
            examples_path, **{n: x.astype("int32") for n, x in arrays.items()}
        )
        if texts is not None:
            texts_path = os.path.join(folder, "texts.json")
            with open(texts_path, "w", encoding="utf-8") as file:
                json.dump(texts, file)
        finished = subprocess.run(
            [
                sys.executable,
                os.path.join(_RUNTIMES_FOLDER, script),
                artifact,
                examples_path,
                results_path,
                str(THREADS),
            ],
            capture_output=True,
            text=True,
        )
        if finished.returncode:
            lines = finished.stderr.strip().splitlines() or ["no message"]
            raise VerificationError(
                f"{artifact!r} does not run in its runtime with the inputs "
                f"{', '.join(INPUT_NAMES)}: {lines[-1]}"
            )
        with np.load(results_path) as file:
            results = {name: file[name] for name in file.files}
    measured = json.loads(str(results.pop("report")))
    actual = {}
    for index in range(len(features)):
        for name in [n for n in results if n.endswith(f"/{index}")]:
            actual.setdefault(name.split("/")[0], []).append(results[name])
    return measured, actual


def _compare(model, artifact, format_, expected, actual, measured):
    if set(expected) != set(actual):
        raise VerificationError(
            f"{artifact!r} must have the outputs of the model, "
            f"{', '.join(sorted(expected))}. It has "
            f"{', '.join(sorted(actual))}; was it exported from this model?"
        )
    quantization = next(
        (name for name in ("int8", "float16") if name in measured["dtypes"]),
        "float32",
    )
    tolerances = TOLERANCES[quantization]
    outputs, failures = {}, []
    for name in sorted(expected):
        shapes = {
            (e.shape, a.shape)
            for e, a in zip(expected[name], actual[name], strict=True)
            if e.shape != a.shape
        }
        if shapes:
            wanted, came = sorted(shapes)[0]
            raise VerificationError(
                f"`{name}` of {artifact!r} must have the shape {wanted}. It "
                f"has {came}; was it exported from this model?"
            )
        wanted = np.concatenate([e.ravel() for e in expected[name]])
        came = np.concatenate([a.ravel() for a in actual[name]])
        difference = np.abs(wanted - came)
        if name in _RELATIVE_OUTPUTS:
            difference = difference / np.sqrt(np.mean(wanted**2))
        outputs[name] = {
            "max_abs_diff": float(difference.max()),
            "mean_abs_diff": float(difference.mean()),
        }
        # Written so that NaN fails.
        if not difference.max() <= tolerances["max_abs_diff"]:
            failures.append(
                f"`{name}` must differ by at most "
                f"{tolerances['max_abs_diff']}; it differs by "
                f"{difference.max():.3g}."
            )
    text_difference = measured.get("text_max_abs_diff", 0.0)
    if not text_difference <= tolerances["max_abs_diff"]:
        failures.append(
            "The signature `text` must give what ids give; it differs by "
            f"{text_difference:.3g}."
        )
    agreement, clear_agreement = _label_agreement(
        model, expected, actual, tolerances["max_abs_diff"]
    )
    if (
        clear_agreement is not None
        and clear_agreement < tolerances["label_agreement"]
    ):
        failures.append(
            f"At least {100 * tolerances['label_agreement']:g} % of the "
            f"labels must agree; {100 * clear_agreement:.2f} % do."
        )
    return Report(
        artifact=artifact,
        format=format_,
        quantization=quantization,
        bytes=_artifact_bytes(artifact),
        examples=len(next(iter(expected.values()))),
        outputs=outputs,
        label_agreement=agreement,
        clear_label_agreement=clear_agreement,
        memory={
            "resident": measured["resident_bytes"],
            "peak": measured["peak_bytes"],
        },
        latency={
            "first_ms": measured["first_latency_ms"],
            "median_ms": measured["median_latency_ms"],
            "tokens": measured["latency_tokens"],
        },
        tolerances=tolerances,
        failures=failures,
    )


def _label_agreement(model, expected, actual, margin):
    if "probabilities" not in expected or model.num_classes == 1:
        return None, None
    wanted, came = (
        np.concatenate([x.reshape(-1, model.num_classes) for x in outputs])
        for outputs in (expected["probabilities"], actual["probabilities"])
    )
    if getattr(model, "multi_label", False):
        same = ((wanted >= 0.5) == (came >= 0.5)).all(axis=-1)
        clear = (np.abs(wanted - 0.5) > margin).all(axis=-1)
    else:
        same = wanted.argmax(axis=-1) == came.argmax(axis=-1)
        best = np.sort(wanted, axis=-1)
        clear = best[:, -1] - best[:, -2] > margin
    clear_agreement = float(same[clear].mean()) if clear.any() else None
    return float(same.mean()), clear_agreement
