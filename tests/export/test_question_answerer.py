"""Files of question answerers: `start_logits` and `end_logits` by name."""

import numpy as np
import pytest

import contracts
import keras_albert as ka
from keras_albert import export

pytest.importorskip("ai_edge_litert")
pytestmark = pytest.mark.once

QUESTION = "How long is it?"
TEXT = "The Oder is 840 km long and flows into the Baltic Sea."


@pytest.fixture(scope="module")
def answerer(tokenizer, tiny):
    answerer = ka.AlbertQuestionAnswerer(
        ka.AlbertBackbone(**tiny),
        preprocessor=ka.AlbertQuestionAnswererPreprocessor(
            tokenizer, sequence_length=40, stride=10, question_length=12
        ),
        no_answer_threshold=0.5,
    )
    contracts.randomize(answerer, scale=0.2)
    return answerer


def check(report):
    assert report.passed
    assert set(report.outputs) == {"start_logits", "end_logits"}
    assert report.max_abs_diff < 1e-4 and report.label_agreement == 1.0
    assert report.examples >= 200


def test_litert(answerer, tmp_path):
    path = tmp_path / "model.tflite"
    check(export.export_model(answerer, path))
    # The model's answer from the file's own numbers.
    from ai_edge_litert.interpreter import Interpreter

    pairs = answerer.preprocessor.readable_pairs([QUESTION], [TEXT])
    windows = pairs.windows()
    run = Interpreter(str(path)).get_signature_runner()
    outputs = run(**windows.features())
    first, last = windows.prefix[0], len(windows.token_ids) - 1
    starts, ends = (
        outputs[name][0, first:last] for name in ("start_logits", "end_logits")
    )
    scores = np.triu(starts[:, None] + ends[None, :])
    scores[np.tril_indices(len(starts), -1)] = -np.inf
    start, end = np.unravel_index(scores.argmax(), scores.shape)
    spans = pairs.spans[0]
    [ranked] = answerer.rank_answers([QUESTION], [TEXT])
    [answer] = ranked["answers"]
    assert (answer["start"], answer["end"]) == (spans[start][0], spans[end][1])

    manifest = export.to_bundle(answerer, path, tmp_path / "bundle")
    assert manifest["no_answer_threshold"] == 0.5
    facts = manifest["tokenizer"]
    assert (facts["truncate"], facts["stride"]) == ("waterfall", 10)
    assert (facts["question_length"], facts["max_length"]) == (12, 40)


def test_onnx(answerer, tmp_path):
    pytest.importorskip("onnxruntime")
    path = tmp_path / "model.onnx"
    check(export.export_model(answerer, path, to="onnx", layout="rolled"))


def test_saved_model_and_examples(answerer, tmp_path):
    path = tmp_path / "saved_model"
    export.to_saved_model(answerer, path)
    check(export.verify(answerer, path))
    report = export.verify(answerer, path, [(QUESTION, TEXT)])
    assert report.passed and report.examples == 1
    with pytest.raises(ValueError, match="pairs of a question and a text"):
        export.verify(answerer, path, [QUESTION])
