"""Unrolled files load in MediaPipe as they are, and give Keras's scores."""

import io
import os
import zipfile

import numpy as np
import pytest

import contracts
import keras_albert as ka
from keras_albert.export import to_litert, verify
from keras_albert.export.inspection import describe_litert

pytest.importorskip("ai_edge_litert")
pytestmark = pytest.mark.once

LABELS = ["weather", "alarm", "Musik für später"]
LENGTH = 24


@pytest.fixture(scope="module")
def classifier(make_classifier):
    model = make_classifier(
        labels=LABELS, sequence_length=LENGTH, compiled=True
    )
    contracts.randomize(model, seed=5, scale=0.3)
    # No class is the best one of all texts.
    features = model.preprocessor(texts(), y=None)
    pooled = contracts.predict(model.backbone, features)["pooled_output"]
    kernel, _ = model.output_dense.get_weights()
    kernel = kernel / (pooled @ kernel).std(axis=0)
    bias = -(pooled @ kernel).mean(axis=0)
    model.output_dense.set_weights([kernel, bias])
    return model


@pytest.fixture(scope="module")
def path(classifier, tmp_path_factory):
    path = tmp_path_factory.mktemp("unrolled") / "model.tflite"
    return to_litert(classifier, path, layout="unrolled")


def texts():
    """200 texts with capitals, accents, emoji, numbers, odd spaces."""
    words = [
        *("Wake", "me", "at", "SEVEN", "Café", "naïve", "İstanbul", "ÉCOLE"),
        *("straße", "ﬁne", "2,019", "11:30", "rain?", "😀", "👨‍👩‍👧", "½"),
        *(
            "“quoted”",
            "don't",
            "e-mail",
            "ＦＵＬＬ",
            "ａ日本",
            "ΣΑΣ",
            "ca\u0301",
        ),
    ]
    generator = np.random.default_rng(0)
    made = ["", " ", "\t\n", "a", "!!!!", "word " * 60]
    while len(made) < 200:
        count = generator.integers(1, 40)
        made.append(" ".join(generator.choice(words, size=count)))
    return made


def mediapipe_classifier(path):
    pytest.importorskip("mediapipe")
    from mediapipe.tasks.python import BaseOptions, text

    return text.TextClassifier.create_from_options(
        text.TextClassifierOptions(
            base_options=BaseOptions(model_asset_path=path)
        )
    )


def test_mediapipe_gives_kerass_scores(classifier, path):
    features = classifier.preprocessor(texts(), y=None)
    expected = np.asarray(
        classifier.probabilities(
            contracts.predict(classifier, features)["outputs"]
        )
    )
    assert len(set(expected.argmax(axis=-1))) == len(LABELS)
    with mediapipe_classifier(path) as runtime:
        for text, row in zip(texts(), expected, strict=True):
            (result,) = runtime.classify(text).classifications
            scores = {c.category_name: c.score for c in result.categories}
            received = [scores[label] for label in LABELS]
            np.testing.assert_allclose(received, row, atol=1e-5, err_msg=text)
            assert result.categories[0].category_name == LABELS[row.argmax()]


def test_metadata_by_mediapipes_schema(classifier, path):
    pytest.importorskip("mediapipe")
    from mediapipe.tasks.metadata import metadata_schema_py_generated as schema
    from tensorflow.lite.python import schema_py_generated as tflite

    with open(path, "rb") as file:
        content = file.read()
    model = tflite.Model.GetRootAs(content)
    (entry,) = [
        model.Metadata(i)
        for i in range(model.MetadataLength())
        if model.Metadata(i).Name() == b"TFLITE_METADATA"
    ]
    data = model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
    assert schema.ModelMetadata.ModelMetadataBufferHasIdentifier(data, 0)
    metadata = schema.ModelMetadataT.InitFromPackedBuf(data)
    (graph,) = metadata.subgraphMetadata
    # The Task Library goes by position.
    assert [x.name for x in graph.inputTensorMetadata] == [
        b"ids",
        b"segment_ids",
        b"mask",
    ]
    tensors = [
        model.Subgraphs(0).Tensors(index).Name().decode()
        for index in model.Subgraphs(0).InputsAsNumpy()
    ]
    for name, tensor in zip(
        ("token_ids", "segment_ids", "padding_mask"), tensors, strict=True
    ):
        assert name in tensor
    (output,) = graph.outputTensorMetadata
    assert output.name == b"probability"
    assert output.associatedFiles[0].name == b"labels.txt"
    assert (
        output.associatedFiles[0].type
        == schema.AssociatedFileType.TENSOR_AXIS_LABELS
    )
    (unit,) = graph.inputProcessUnits
    options = unit.options
    assert isinstance(options, schema.SentencePieceTokenizerOptionsT)
    assert options.sentencePieceModel[0].name == b"spiece.model"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read("labels.txt").decode().splitlines() == LABELS
        vocabulary = archive.read("spiece.model")
    assert vocabulary == classifier.preprocessor.tokenizer.proto


def test_info_tells_of_the_files(path):
    facts = describe_litert(path)
    assert facts["files"] == ["spiece.model", "labels.txt"]
    assert facts["weights"] == "float32"
    assert facts["subgraphs"] == 1


def test_weights_lie_where_runtimes_read_them(path):
    """Each buffer at a multiple of 16 bytes, as the schema demands."""
    from tensorflow.lite.python import schema_py_generated as tflite

    with open(path, "rb") as file:
        content = file.read()
    whole = np.frombuffer(content, dtype=np.uint8)
    model = tflite.Model.GetRootAs(content)
    offsets = [
        data.ctypes.data - whole.ctypes.data
        for data in (
            model.Buffers(i).DataAsNumpy() for i in range(model.BuffersLength())
        )
        if isinstance(data, np.ndarray)
    ]
    assert len(offsets) > 10
    assert not any(offset % 16 for offset in offsets)


def test_one_subgraph_of_one_length(classifier, path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path)
    shapes = [d["shape"].tolist() for d in interpreter.get_input_details()]
    assert shapes == [[1, LENGTH]] * 3
    report = verify(classifier, path)
    assert report.passed and report.max_abs_diff < 1e-5


def test_same_model_same_bytes(classifier, path, tmp_path):
    again = to_litert(classifier, tmp_path / "again.tflite", layout="unrolled")
    with open(path, "rb") as one, open(again, "rb") as other:
        assert one.read() == other.read()


def test_labels_of_two_lines(make_classifier, tmp_path):
    model = make_classifier(labels=["a", "b\nc"])
    with pytest.raises(ValueError, match=r"one line each.*'b\\nc'"):
        to_litert(model, tmp_path / "model.tflite", layout="unrolled")
    assert not os.listdir(tmp_path)


# === Embedders and question answerers ===


@pytest.fixture(scope="module")
def embedder(classifier):
    return ka.AlbertTextEmbedder(
        classifier.backbone,
        preprocessor=ka.AlbertTextEmbedderPreprocessor(
            classifier.preprocessor.tokenizer, sequence_length=LENGTH
        ),
    )


def test_mediapipe_gives_the_embedders_vectors(embedder, tmp_path):
    pytest.importorskip("mediapipe")
    from mediapipe.tasks.python import BaseOptions, text

    path = to_litert(embedder, tmp_path / "model.tflite", layout="unrolled")
    expected = embedder.embed(texts())
    assert np.abs(expected[0] - expected[50]).max() > 0.01
    options = text.TextEmbedderOptions(
        base_options=BaseOptions(model_asset_path=path)
    )
    with text.TextEmbedder.create_from_options(options) as runtime:
        for one, vector in zip(texts(), expected, strict=True):
            (result,) = runtime.embed(one).embeddings
            np.testing.assert_allclose(
                result.embedding, vector, atol=1e-5, err_msg=one
            )


def test_question_answerers_have_the_task_librarys_contract(
    classifier, tmp_path
):
    """Outputs by name, 384 positions, or as many as the model has."""
    pytest.importorskip("mediapipe")
    from ai_edge_litert.interpreter import Interpreter
    from mediapipe.tasks.metadata import metadata_schema_py_generated as schema
    from tensorflow.lite.python import schema_py_generated as tflite

    backbone = ka.AlbertBackbone(
        vocabulary_size=8000,
        num_layers=2,
        num_heads=2,
        embedding_dim=8,
        hidden_dim=16,
        intermediate_dim=32,
        max_sequence_length=400,
    )
    answerer = ka.AlbertQuestionAnswerer(
        backbone,
        preprocessor=ka.AlbertTextClassifierPreprocessor(
            classifier.preprocessor.tokenizer, sequence_length=400
        ),
    )
    contracts.randomize(answerer)
    path = to_litert(answerer, tmp_path / "model.tflite", layout="unrolled")
    interpreter = Interpreter(path)
    shapes = [d["shape"].tolist() for d in interpreter.get_input_details()]
    assert shapes == [[1, 384]] * 3
    with open(path, "rb") as file:
        model = tflite.Model.GetRootAs(file.read())
    data = model.Buffers(
        model.Metadata(model.MetadataLength() - 1).Buffer()
    ).DataAsNumpy()
    metadata = schema.ModelMetadataT.InitFromPackedBuf(data.tobytes())
    outputs = metadata.subgraphMetadata[0].outputTensorMetadata
    assert [x.name for x in outputs] == [b"end_logits", b"start_logits"]
    batch = contracts.random_batch({"vocabulary_size": 8000}, 1, 384)
    expected = contracts.predict(answerer, batch)
    # Named as they are computed, by position and by signature.
    for detail, x in zip(
        interpreter.get_input_details(),
        (batch["token_ids"], batch["segment_ids"], batch["padding_mask"]),
        strict=True,
    ):
        interpreter.allocate_tensors()
        interpreter.set_tensor(detail["index"], x)
    interpreter.invoke()
    for output, detail in zip(
        outputs, interpreter.get_output_details(), strict=True
    ):
        np.testing.assert_allclose(
            interpreter.get_tensor(detail["index"]),
            expected[output.name.decode()],
            atol=1e-4,
        )
