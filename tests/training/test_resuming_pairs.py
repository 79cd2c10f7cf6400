"""Embedders and extractors: interrupted runs end as if they had not been."""

import functools

import pytest

import keras_albert as ka
from keras_albert.training import sentence_extraction, text_embedding
from keras_albert.training.fine_tune import fine_tune

TEXTS = ["wake me", "will it rain", "snooze it", "how warm is it"]
PAIRS = ([(text, f"{text} now", f"no {text}") for text in TEXTS], None)
DOCUMENTS = ([[f"{x}.", "It is.", f"So {x}."] for x in TEXTS], [[0, 1, 0]] * 4)
TASKS = {
    "AlbertTextEmbedder": (
        PAIRS,
        {
            "batches": text_embedding.pair_batches,
            "evaluate": text_embedding.evaluate_embedder,
            "monitor": "mrr",
        },
    ),
    "AlbertSentenceExtractor": (
        DOCUMENTS,
        {
            "batches": sentence_extraction.block_batches,
            "evaluate": functools.partial(
                sentence_extraction.evaluate_extractor, sentences=1
            ),
            "monitor": "sentence_f1",
        },
    ),
}


@pytest.mark.parametrize("name", TASKS)
def test_resumed_run_equals_the_uninterrupted(
    name, tokenizer, tiny, tmp_path, interrupt, assert_same_weights
):
    data, options = TASKS[name]

    def make():
        return getattr(ka, name)(
            ka.AlbertBackbone(**{**tiny, "num_layers": 1}, dropout=0.1),
            preprocessor=getattr(ka, f"{name}Preprocessor")(tokenizer, 24),
        )

    start = make().get_weights()

    def train(folder, **kwargs):
        task = make()
        task.set_weights(start)
        recipe = {"epochs": 3, "batch_size": 2, "learning_rate": 1e-2}
        metrics = fine_tune(
            task, data, data, tmp_path / folder, **recipe, **options, **kwargs
        )
        return task, metrics

    whole, expected = train("whole", patience=3)
    interrupt(lambda: train("parts", patience=3))
    resumed, metrics = train("parts", patience=3, resume=True)
    assert_same_weights(resumed, whole)
    for key in (options["monitor"], "loss", "best_epoch", "steps"):
        assert metrics[key] == expected[key], key
