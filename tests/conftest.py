import gc
import os
import pathlib
import sys
import tempfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tiny models, several frameworks in a process: more threads only get in each
# other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
# Tests make the same small models again and again, and compiling them takes
# far longer than running them: do it once, and with little optimization.
COMPILED = tempfile.TemporaryDirectory()
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", COMPILED.name)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

import pytest

BACKEND = os.environ["KERAS_BACKEND"]
TRAINING_BACKENDS = ("tensorflow", "jax", "torch")

pytest.register_assert_rewrite("contracts")


def pytest_collection_finish(session):
    """Leaves what the imports made out of garbage collection.

    Keras collects at each layer that is quantized, and that takes a second
    with all the frameworks loaded.
    """
    import keras_albert.tasks  # noqa: F401

    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config, items):
    """Leaves out what says nothing about the backend that is tested."""

    def is_wanted(item):
        if item.get_closest_marker("once"):
            return BACKEND == "tensorflow"
        return BACKEND in TRAINING_BACKENDS or bool(
            item.get_closest_marker("inference")
        )

    left_out = [item for item in items if not is_wanted(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if is_wanted(item)]


@pytest.fixture(scope="session")
def data_folder():
    """The folder with the real data sets, see docs/data.md."""
    folder = os.environ.get("KERAS_ALBERT_DATA")
    if not folder:
        pytest.skip("KERAS_ALBERT_DATA names no folder with the real data")
    return pathlib.Path(folder)


@pytest.fixture(scope="session")
def run_python():
    """Runs code in a fresh process, and gives what it wrote to stdout."""
    import subprocess

    def run(code, *arguments, backend=BACKEND):
        finished = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            env={**os.environ, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
        )
        assert finished.returncode == 0, finished.stderr[-3000:]
        return finished.stdout

    return run


@pytest.fixture(scope="session")
def tokenizer():
    """The tokenizer of the bundled preset."""
    import keras_albert as ka

    return ka.AlbertTokenizer.from_preset("albert_tiny_en")


@pytest.fixture(scope="session")
def tiny():
    """Arguments of a backbone that is as small as it can sensibly be."""
    return {
        "vocabulary_size": 8000,
        "num_layers": 2,
        "num_heads": 2,
        "embedding_dim": 8,
        "hidden_dim": 16,
        "intermediate_dim": 32,
        "max_sequence_length": 48,
    }


@pytest.fixture(scope="session")
def shared():
    """Arguments for several groups and inner layers, unevenly spread."""
    return {
        "vocabulary_size": 60,
        "num_layers": 3,
        "num_heads": 2,
        "embedding_dim": 8,
        "hidden_dim": 16,
        "intermediate_dim": 24,
        "num_groups": 2,
        "num_inner_repetitions": 2,
        "max_sequence_length": 24,
    }


@pytest.fixture(scope="session")
def make_classifier(tokenizer, tiny):
    """Makes tiny classifiers of texts, with weights that tell texts apart.

    With TensorFlow a graph takes seconds to trace: only what is `compiled`
    runs in one.
    """
    import contracts
    import keras_albert as ka

    def make(sequence_length=32, backbone=None, compiled=False, **kwargs):
        classifier = ka.AlbertTextClassifier(
            ka.AlbertBackbone(**{**tiny, **(backbone or {})}),
            preprocessor=ka.AlbertTextClassifierPreprocessor(
                tokenizer, sequence_length=sequence_length
            ),
            **kwargs,
        )
        contracts.randomize(classifier, seed=3, scale=0.6)
        classifier.run_eagerly = BACKEND == "tensorflow" and not compiled
        # No class is the best one of all texts.
        batch = classifier.preprocessor(["Wake me at seven", "Hm."], y=None)
        outputs = contracts.predict(classifier.backbone, batch)
        kernel, bias = classifier.output_dense.get_weights()
        bias = -(outputs["pooled_output"] @ kernel).mean(axis=0)
        classifier.output_dense.set_weights([kernel, bias])
        return classifier

    return make
