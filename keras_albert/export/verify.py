"""Proof that an exported file computes what the model computes."""

import os

import keras
import numpy as np

from keras_albert.export import examples as inputs_of
from keras_albert.export import inspection
from keras_albert.export.arguments import (
    check_examples,
    check_max_drop,
    check_text_length,
    checked_targets,
)
from keras_albert.export.artifacts import (
    PAIR_INPUTS,
    TEXT_INPUTS,
    artifact_bytes,
    artifact_format,
)
from keras_albert.export.differences import compare_outputs, label_agreement
from keras_albert.export.litert_conversion import (
    INPUT_NAMES,
    POSITIONS_NAME,
    input_names,
)
from keras_albert.export.report import Report, VerificationError
from keras_albert.export.runtime_process import RuntimeProcess
from keras_albert.tasks.loading import load_preset
from keras_albert.training.evaluation import default_monitor, score_classifier

# Tokens. Memory is measured at the first; the longest that a file takes is
# measured, too.
LATENCY_LENGTHS = (128, 16, 32, 64)
# Of the examples that a file with an ids signature gets as texts, too.
TEXT_EXAMPLES = 200

# What a file must keep, by the smallest type that its weights are stored in:
# the largest and the mean |Δ| of an output; the share of equal labels among
# the examples whose two best classes are further apart than the largest |Δ|;
# how many points (hundredths) the metric may drop. Float32 differs by the
# order of sums alone. A shared layer repeats the rounding error of its
# weights at each application, hence the room for the quantized types, in
# which the mean |Δ| tells a file of other weights from a rounded one.
TOLERANCES = {
    "float32": {
        "max_abs_diff": 1e-4,
        "mean_abs_diff": 1e-5,
        "label_agreement": 1.0,
        "max_drop": 0.1,
    },
    "float16": {
        "max_abs_diff": 2e-2,
        "mean_abs_diff": 2e-3,
        "label_agreement": 1.0,
        "max_drop": 0.1,
    },
    "int8": {
        "max_abs_diff": 0.25,
        "mean_abs_diff": 0.03,
        "label_agreement": 0.99,
        "max_drop": 0.5,
    },
    "int4": {
        "max_abs_diff": 0.9,
        "mean_abs_diff": 0.15,
        "label_agreement": 0.9,
        "max_drop": 1.0,
    },
}


def verify(
    model: keras.Model | str | os.PathLike,
    artifact: str | os.PathLike,
    examples: list | None = None,
    *,
    targets: np.ndarray | None = None,
    max_drop: float | None = None,
    sequence_length: int | None = None,
) -> Report:
    """Runs an artifact in its own runtime and compares it with its model.

    The artifact runs in a process of its own that has nothing but the
    runtime, one example after the other, each at its own length. Inputs of a
    fixed length are padded, and texts cut to it.

    Args:
        model: the task or `AlbertBackbone` that was exported, or its preset.
        artifact: string or path of the `.tflite` or `.onnx` file, or of the
            SavedModel's folder.
        examples: list of strings or of pairs as 2-tuples. `None` takes 200
            texts drawn from the vocabulary: empty, of white space, of one
            token, of full length and pairs among them.
        targets: what a text classifier should give for `examples`, as
            `evaluate_classifier` takes it. The task's metric is then
            measured on model and artifact: accuracy, Pearson's correlation
            or micro F1.
        max_drop: float, points (hundredths) that the metric may drop;
            `None` takes that of `TOLERANCES`.
        sequence_length: int or `None`, the `sequence_length` that a LiteRT
            file of texts was exported with. It cannot be read from the file;
            a file of ids tells its own.

    Returns:
        A `Report`.

    Raises:
        VerificationError: if the artifact does not run, has other inputs or
            outputs than the model, stores weights twice, needs operators
            that stock runtimes lack, or differs from the model by more than
            `TOLERANCES`.
        ValueError: if the artifact is of none of the formats, or an
            argument cannot be meant.
        FileNotFoundError: if there is no such artifact.
        ImportError: if the format's runtime is not installed.
    """
    check_max_drop(max_drop, targets)
    check_text_length(sequence_length)
    reference = Reference(model, examples, targets)
    report = reference.check(os.fspath(artifact), max_drop, sequence_length)
    if not report.passed:
        raise VerificationError(
            f"{report.artifact!r} does not compute what the model computes: "
            + " ".join(report.failures),
            report,
        )
    return report


class Reference:
    """A model, what it is compared on, and what it computes there.

    Args:
        model: see `verify`.
        examples: see `verify`.
        targets: see `verify`.

    Attributes:
        model: the model.
    """

    def __init__(self, model, examples=None, targets=None):
        if not isinstance(model, keras.Model):
            model = load_preset(model, dtype="float32")
        self.model = model
        preprocessor = getattr(model, "preprocessor", None)
        takes_texts = inputs_of.takes_texts(model)
        if examples is None and takes_texts:
            examples = inputs_of.default_texts(preprocessor)
        elif examples is not None and preprocessor is None:
            raise ValueError(
                "A model without a preprocessor cannot take texts. Pass "
                "`examples=None`, or the model with its preprocessor."
            )
        elif examples is not None and not takes_texts:
            raise ValueError(
                f"An {type(model).__name__} is compared on random tokens, not "
                "on texts. Pass `examples=None`."
            )
        elif examples is not None:
            check_examples(
                examples,
                inputs_of.takes_pairs(preprocessor),
                inputs_of.takes_single_texts(preprocessor),
            )
        if targets is not None:
            targets = checked_targets(model, examples, targets)
        self.texts = examples
        self.targets = targets
        self._computed = {}
        self._metric = None

    def features(self, longest=None):
        """The inputs, list of dictionaries of `(1, tokens)` arrays."""
        if self.texts is None:
            return inputs_of.random_features(self.model, longest)
        return inputs_of.text_features(self.model, self.texts, longest)

    def computed(self, longest, shapes):
        """Inputs cut to what a file takes, and the model's outputs."""
        key = longest, str(shapes.get("mask_positions"))
        if key not in self._computed:
            features = self.features(longest)
            features = [inputs_of.cut(example, shapes) for example in features]
            outputs = inputs_of.model_outputs(self.model, features)
            self._computed[key] = features, outputs
        return self._computed[key]

    def metric(self):
        """The metric's name and the model's own, at its own full length."""
        if self._metric is None:
            _, outputs = self.computed(None, {})
            self._metric = self.score(outputs)
        return default_monitor(self.model), self._metric

    def score(self, outputs):
        """The metric of some outputs.

        Args:
            outputs: list of dictionaries, one an example.

        Returns:
            float.
        """
        values = np.concatenate([x["probabilities"] for x in outputs])
        scores = score_classifier(self.model, values, self.targets)
        return scores[default_monitor(self.model)]

    def check(self, artifact, max_drop=None, sequence_length=None):
        """Runs an artifact and compares it; see `verify`.

        Args:
            artifact: string, path.
            max_drop: float or `None`, see `verify`.
            sequence_length: int or `None`, see `verify`.

        Returns:
            A `Report`, passed or not.
        """
        format_ = artifact_format(artifact)
        with RuntimeProcess(artifact, format_) as process:
            ids, texts = _signatures(self.model, artifact, process.signatures)
            shapes = process.signatures[ids]["inputs"] if ids else {}
            longest = _fixed_length(shapes) if ids else sequence_length
            features, expected = self.computed(longest, shapes)
            runs = []
            if ids:
                runs = [(ids, inputs_of.padded(x, shapes)) for x in features]
            rows = self._text_rows(texts, everything=not ids)
            runs += [_text_run(texts, self.texts[row]) for row in rows]
            lengths = self._latency_lengths(longest)
            measured, outputs = process.run(
                [self._latency_run(n, ids, texts, shapes) for n in lengths],
                runs,
            )
        # A runtime has accepted the file, so that it can be read.
        weights = inspection.weights_of(artifact, format_)
        quantization = weights.pop("quantization")
        tolerances = dict(TOLERANCES[quantization])
        if max_drop is not None:
            tolerances["max_drop"] = max_drop
        custom = inspection.custom_operators(artifact, format_)
        failures = _failures_of_content(weights, custom)
        actual, as_text = (
            outputs[: len(features)] if ids else None,
            outputs[len(features) :] if ids else outputs,
        )
        results = {}
        if ids:
            actual = [
                {
                    name: inputs_of.cut_to_tokens(name, y, x)
                    for name, y in o.items()
                }
                for o, x in zip(actual, features, strict=True)
            ]
            results = compare_outputs(self.model, artifact, expected, actual)
        if rows:
            of_texts = compare_outputs(
                self.model, artifact, [expected[row] for row in rows], as_text
            )
            for name, result in of_texts.items():
                results[f"{name} of text" if ids else name] = result
        for name, result in results.items():
            failures += _failures_of_output(name, result, tolerances)
        decisive = actual if ids else as_text
        decided = expected if ids else [expected[row] for row in rows]
        agreement, clear = label_agreement(
            self.model, decided, decisive, tolerances["max_abs_diff"]
        )
        if clear is not None and clear < tolerances["label_agreement"]:
            failures.append(
                f"At least {100 * tolerances['label_agreement']:g} % of the "
                f"labels must agree; {100 * clear:.2f} % do."
            )
        metric = None
        if self.targets is not None:
            metric = self._compare_metric(decisive)
            if not metric["drop"] <= tolerances["max_drop"]:
                failures.append(
                    f"The {metric['name']} must drop by at most "
                    f"{tolerances['max_drop']:g} points; it drops by "
                    f"{metric['drop']:.2f}."
                )
        latencies = [
            {"tokens": tokens, **times}
            for tokens, times in zip(lengths, measured["latency"], strict=True)
        ]
        return Report(
            artifact=artifact,
            format=format_,
            quantization=quantization,
            bytes=artifact_bytes(artifact),
            examples=len(decided),
            inputs={
                name: sorted(signature["inputs"], key=_place)
                for name, signature in process.signatures.items()
            },
            outputs=results,
            label_agreement=agreement,
            clear_label_agreement=clear,
            metric=metric,
            weights=weights,
            custom_operators=custom,
            memory={
                "resident": measured["resident_bytes"],
                "peak": measured["peak_bytes"],
            },
            latency={
                **latencies[0],
                "by_length": sorted(latencies, key=lambda x: x["tokens"]),
            },
            tolerances=tolerances,
            failures=failures,
        )

    def _text_rows(self, texts, everything):
        """The examples that the signatures of texts take."""
        if self.texts is None or not texts:
            return []
        rows = [
            row
            for row, text in enumerate(self.texts)
            if ("pair" if type(text) is tuple else "text") in texts
        ]
        return rows if everything else rows[:TEXT_EXAMPLES]

    def _latency_lengths(self, longest):
        if longest is not None:
            return [longest]
        backbone = getattr(self.model, "backbone", self.model)
        full = backbone.max_sequence_length
        lengths = [n for n in LATENCY_LENGTHS if n < full]
        return (
            [*lengths, full] if full > LATENCY_LENGTHS[0] else [full, *lengths]
        )

    def _latency_run(self, tokens, ids, texts, shapes):
        generator = np.random.default_rng(0)
        if not ids:
            text = inputs_of.text_of(tokens, self.model.preprocessor)
            return _text_run(texts, text)
        features = inputs_of.tokens_of_length(self.model, tokens, generator)
        return ids, inputs_of.padded(inputs_of.cut(features, shapes), shapes)

    def _compare_metric(self, actual):
        name, of_model = self.metric()
        of_artifact = self.score(actual)
        return {
            "name": name,
            "model": of_model,
            "artifact": of_artifact,
            "drop": 100.0 * (of_model - of_artifact),
            "rows": len(actual),
        }


def _signatures(model, artifact, signatures):
    """The signature of ids, or `None`, and those of texts by their kind."""
    names = set(input_names(model))
    ids, texts = None, {}
    for signature, description in signatures.items():
        inputs = set(description["inputs"])
        if inputs == names:
            ids = signature
        elif inputs == set(TEXT_INPUTS):
            texts["text"] = signature
        elif inputs == set(PAIR_INPUTS):
            texts["pair"] = signature
    if ids is None and not texts:
        found = "; ".join(
            f"{name}: {', '.join(description['inputs'])}"
            for name, description in signatures.items()
        )
        raise VerificationError(
            f"{artifact!r} must have a signature with the model's inputs "
            f"{', '.join(input_names(model))}, or with `text`. It has "
            f"{found or 'none'}; was it exported from this model?"
        )
    if ids is None and getattr(model, "preprocessor", None) is None:
        raise VerificationError(
            f"{artifact!r} takes texts, so the model must have a "
            "preprocessor to compare it with. It has none."
        )
    return ids, texts


def _place(name):
    """Where an input comes, as people read them; unknown ones last."""
    order = (*INPUT_NAMES, POSITIONS_NAME, *PAIR_INPUTS)
    return order.index(name) if name in order else len(order)


def _fixed_length(shapes):
    return shapes["token_ids"][-1]


def _text_run(signatures, text):
    if type(text) is tuple:
        inputs = dict(zip(PAIR_INPUTS, ([part] for part in text), strict=True))
        return signatures["pair"], inputs
    return signatures["text"], {TEXT_INPUTS[0]: [text]}


def _failures_of_content(weights, custom):
    failures = []
    if weights["repeated_bytes"]:
        failures.append(
            "Each matrix must be stored once; "
            f"{weights['repeated_bytes'] / 1e6:.2f} MB are copies."
        )
    foreign = [name for name in custom if not name.startswith("TFText>")]
    if foreign:
        failures.append(
            "It must run in stock runtimes; these lack the operators "
            f"{', '.join(foreign)}."
        )
    return failures


def _failures_of_output(name, result, tolerances):
    for key, average in (
        ("max_abs_diff", ""),
        ("mean_abs_diff", " on average"),
    ):
        # Written so that NaN fails.
        if not result[key] <= tolerances[key]:
            return [
                f"`{name}` must differ by at most {tolerances[key]}{average}; "
                f"it differs by {result[key]:.3g}."
            ]
    return []
