"""Files that take texts: the tokenizer inside gives Python's ids."""

import os

import numpy as np
import pytest

import contracts
import keras_albert as ka
from keras_albert.export import litert_text, to_litert, verify
from keras_albert.preprocessing import normalizer

pytest.importorskip("ai_edge_litert")
pytest.importorskip("tensorflow_text")
pytestmark = pytest.mark.once

TEXTS = [
    "",
    " \t\n",
    "Wake me at SEVEN",
    "Café naïve İstanbul 😀 👨\u200d👩\u200d👧 ﬁne ½",
    "In 2019, 1,424 rose to 11,424, or 7, 8, 9",
    "a\0b",
    "!!!! ...",
    "word " * 60,
]
LENGTH = 16


@pytest.fixture(scope="module")
def digits_tokenizer(tokenizer):
    """One whose vocabulary has digits with a comma, as the original's has."""
    proto = normalizer._parse(tokenizer.proto)
    pieces = {piece.piece for piece in proto.pieces}
    for place, new in ((6000, "▁2019,"), (6001, "1,"), (6002, "▁7,")):
        assert new not in pieces
        proto.pieces[place].piece = new
        proto.pieces[place].score = -1.0
    proto.normalizer_spec.name = "identity"  # Not folded yet.
    proto.normalizer_spec.precompiled_charsmap = b""
    made = ka.AlbertTokenizer(proto.SerializeToString())
    assert made._splits
    return made


@pytest.fixture(scope="module")
def make(make_classifier, tokenizer, digits_tokenizer):
    def make(sequence_length=LENGTH, truncate="round_robin", digits=False):
        model = make_classifier(
            labels=["a", "b", "c"], sequence_length=sequence_length
        )
        model.preprocessor = ka.AlbertTextClassifierPreprocessor(
            digits_tokenizer if digits else tokenizer,
            sequence_length=sequence_length,
            truncate=truncate,
        )
        return model

    return make


@pytest.mark.parametrize("truncate", ["round_robin", "waterfall"])
@pytest.mark.parametrize("length", [LENGTH, LENGTH + 1, 4, 5])
def test_packs_as_the_preprocessor(make, truncate, length):
    """In a graph, which is what is converted; each length and each half."""
    import tensorflow as tf

    model = make(length, truncate, digits=True)
    tokenize = litert_text._tokenize_function(model.preprocessor.tokenizer)

    @tf.function
    def pack(*texts):
        segments = [tokenize(text) for text in texts]
        segments = litert_text._truncated(segments, length, truncate)
        return litert_text._packed(segments, model.preprocessor.tokenizer)

    pairs = [(a, b) for a in TEXTS[1:] for b in TEXTS[2::2]]
    for examples in ([(text,) for text in TEXTS], pairs):
        for example in examples:
            received = pack(*(tf.constant([text]) for text in example))
            expected = model.preprocessor(
                tuple([text] for text in example), y=None
            )
            tokens = int(np.sum(expected["padding_mask"]))
            for name, value in received.items():
                assert value.shape == (1, tokens)
                np.testing.assert_array_equal(
                    value, np.asarray(expected[name])[:, :tokens], str(example)
                )


@pytest.fixture(scope="module")
def file(make, tmp_path_factory):
    model = make(digits=True)
    path = tmp_path_factory.mktemp("text") / "model.tflite"
    return model, to_litert(model, path, inputs="text")


def interpreter(path):
    import tensorflow_text
    from ai_edge_litert.interpreter import InterpreterWithCustomOps

    return InterpreterWithCustomOps(
        tensorflow_text.tflite_registrar.SELECT_TFTEXT_OPS, model_path=path
    )


def test_gives_what_the_model_gives(file):
    model, path = file
    runtime = interpreter(path)
    single = runtime.get_signature_runner("serving_default")
    pair = runtime.get_signature_runner("pair")
    assert list(single.get_input_details()) == ["text"]
    assert set(pair.get_input_details()) == {"text", "pair"}

    def given(text):
        return np.array([text.encode()], dtype=object)

    for text in TEXTS:
        expected = model.probabilities(model.predict([text], verbose=0))
        received = single(text=given(text))["probabilities"]
        np.testing.assert_allclose(received, expected, atol=1e-5)
        expected = model.probabilities(
            model.predict(([text], ["2019, Hm."]), verbose=0)
        )
        received = pair(text=given(text), pair=given("2019, Hm."))
        np.testing.assert_allclose(
            received["probabilities"], expected, atol=1e-5
        )


def test_one_custom_operator_a_text_and_no_flex(file):
    from tensorflow.lite.python import schema_py_generated as schema

    with open(file[1], "rb") as opened:
        model = schema.Model.GetRootAs(opened.read())
    custom = {
        index: model.OperatorCodes(index).CustomCode()
        for index in range(model.OperatorCodesLength())
    }
    assert {code for code in custom.values() if code} == {
        b"TFText>FastSentencepieceTokenize"
    }
    for place in range(model.SignatureDefsLength()):
        signature = model.SignatureDefs(place)
        graph = model.Subgraphs(signature.SubgraphIndex())
        used = [
            custom[graph.Operators(i).OpcodeIndex()]
            for i in range(graph.OperatorsLength())
        ]
        texts = signature.InputsLength()
        assert len([code for code in used if code]) == texts


def test_quantized_files_take_texts(file, tmp_path):
    model, whole = file
    path = to_litert(
        model,
        tmp_path / "model.tflite",
        inputs="text",
        quantization="int4",
        sequence_length=8,
    )
    assert os.path.getsize(path) < os.path.getsize(whole)
    report = verify(model, path, ["Wake me at seven", "Hm."])
    assert report.passed and report.quantization == "int4"


def test_bad_input(make, make_classifier, tmp_path):
    path = tmp_path / "model.tflite"
    with pytest.raises(ValueError, match="needs the layout 'rolled'"):
        to_litert(make(), path, inputs="text", layout="unrolled")
    with pytest.raises(ValueError, match="48 positions.*Received: 49"):
        to_litert(make(), path, inputs="text", sequence_length=49)
    with pytest.raises(ValueError, match="4 tokens.*Received: 3"):
        to_litert(make(), path, inputs="text", sequence_length=3)
    model = ka.AlbertTextClassifier(make().backbone, 2)
    with pytest.raises(ValueError, match="AlbertTextClassifier has none"):
        to_litert(model, path, inputs="text")
    contracts.randomize(model)
    model.save_to_preset(tmp_path / "preset")
    with pytest.raises(ValueError, match="AlbertTextClassifier has none"):
        to_litert(tmp_path / "preset", path, inputs="text")
    assert os.listdir(tmp_path) == ["preset"]
