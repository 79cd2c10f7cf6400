"""One short text to its label, beside Hugging Face's torch model.

    python benchmarks/classify_latency.py [--backends tensorflow jax torch]
        [--vocabulary SPM] [--text TEXT] [--rounds 3]

ALBERT-base with random weights, from the string to the label, after warm-up.
Each contender runs in a process of its own, in turn, so that their threads
do not get into each other's way; the figures are medians, the ratio is of
medians of the same run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

REPEATS = 20
TEXT = (
    "the performances take the movie to a higher level , and its quiet , "
    "unhurried humour stays with you for days ."
)
BUNDLED = os.path.join(
    os.path.dirname(__file__),
    "../keras_albert/presets/albert_tiny_en/assets/tokenizer/vocabulary.spm",
)
BASE = {
    "num_layers": 12,
    "num_heads": 12,
    "embedding_dim": 128,
    "hidden_dim": 768,
    "intermediate_dim": 3072,
}


def time_calls(call):
    for _ in range(5):
        call()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(1000.0 * (time.perf_counter() - start))
    return statistics.median(times)


def run_ours(text, vocabulary):
    import keras_albert as ka

    tokenizer = ka.AlbertTokenizer(vocabulary)
    classifier = ka.AlbertTextClassifier(
        ka.AlbertBackbone(tokenizer.vocabulary_size(), **BASE),
        labels=["negative", "positive"],
        preprocessor=ka.AlbertTextClassifierPreprocessor(tokenizer),
    )
    tokens = len(tokenizer(text)) + 2
    return tokens, time_calls(lambda: classifier.classify(text))


def run_hugging_face(text, vocabulary):
    import sentencepiece
    import torch
    import transformers

    processor = sentencepiece.SentencePieceProcessor(model_file=vocabulary)
    pieces = [
        (processor.id_to_piece(i), processor.get_score(i))
        for i in range(processor.vocab_size())
    ]
    tokenizer = transformers.AlbertTokenizer(vocab=pieces)
    config = transformers.AlbertConfig(
        vocab_size=len(pieces),
        embedding_size=BASE["embedding_dim"],
        hidden_size=BASE["hidden_dim"],
        num_hidden_layers=BASE["num_layers"],
        num_attention_heads=BASE["num_heads"],
        intermediate_size=BASE["intermediate_dim"],
        num_labels=2,
    )
    model = transformers.AlbertForSequenceClassification(config).eval()

    @torch.inference_mode()
    def classify():
        batch = tokenizer(text, return_tensors="pt")
        scores = torch.softmax(model(**batch).logits, dim=-1)[0]
        best = int(scores.argmax())
        return config.id2label[best], float(scores[best])

    return len(tokenizer(text)["input_ids"]), time_calls(classify)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--backends", nargs="+", default=["tensorflow", "jax", "torch"]
    )
    parser.add_argument("--vocabulary", default=BUNDLED)
    parser.add_argument("--text", default=TEXT)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        run = run_hugging_face if arguments.contender == "hf" else run_ours
        print(json.dumps(run(arguments.text, arguments.vocabulary)))
        return
    contenders = ["hf", *arguments.backends]
    medians = {contender: [] for contender in contenders}
    for _ in range(arguments.rounds):
        for contender in contenders:
            output = subprocess.run(
                [
                    sys.executable,
                    __file__,
                    "--contender",
                    contender,
                    "--vocabulary",
                    arguments.vocabulary,
                    "--text",
                    arguments.text,
                ],
                env={
                    **os.environ,
                    "KERAS_BACKEND": contender.replace("hf", "torch"),
                },
                check=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            ).stdout
            tokens, milliseconds = json.loads(output.splitlines()[-1])
            medians[contender].append(milliseconds)
    peer = statistics.median(medians["hf"])
    print(f"{tokens} tokens, medians of {arguments.rounds} rounds")
    for contender, values in medians.items():
        name = "Hugging Face torch" if contender == "hf" else contender
        value = statistics.median(values)
        print(f"{name:<20} {value:8.1f} ms  {value / peer:5.2f} x")


if __name__ == "__main__":
    main()
