"""The page in headless Chromium says what Keras says."""

import csv
import functools
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import threading

import numpy as np
import pytest

import contracts
from keras_albert.export import to_litert, to_web, verify
from keras_albert.export.web_page import page_folder

pytestmark = pytest.mark.once

REPOSITORY = pathlib.Path(__file__).parents[2]
SCRIPT = pathlib.Path(__file__).parent / "device" / "browser.mjs"
LABELS = ["alarm", "météo", "smart home", "<b>music</b>"]
LAYOUTS = ("rolled", "unrolled")
TYPED = "Will it rain tomorrow in Zürich? ☔"
# Documented results, not errors: white space and NUL say nothing.
ODD = ("", " \t\n ", "nul\x00byte", "\x00", "word " * 500, "😀" * 3000)


def texts():
    """200 texts with capitals, accents, emoji, and some odd ones."""
    with open(
        REPOSITORY / "examples" / "data" / "intents_test.csv", encoding="utf-8"
    ) as file:
        rows = [row["text"] for row in csv.DictReader(file)]
    forms = (
        str,
        str.upper,
        lambda text: text.title().replace("E", "É").replace("a", "à"),
        lambda text: f"{text} 😀👍🏽 ❤️",
    )
    made = [form(row) for form in forms for row in rows]
    step = len(made) // 200
    return [*made[::step][:200], *ODD]


def find_chromium():
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="module")
def classifier(make_classifier):
    classifier = make_classifier(labels=LABELS, compiled=True)
    contracts.randomize(classifier, seed=5, scale=0.4)
    return classifier


@pytest.fixture(scope="module")
def seen(classifier, tmp_path_factory):
    """What each page of a server shows, and what it asks for."""
    chromium = find_chromium()
    if not chromium or not shutil.which("node"):
        pytest.skip("Chromium or Node is not installed")
    packages = os.path.join(page_folder(), "node_modules")
    if not os.path.isdir(os.path.join(packages, "playwright-core")):
        pytest.skip("the packages of npm are not there: npm ci in export/web")
    folder = tmp_path_factory.mktemp("site")
    report = None
    for layout in LAYOUTS:
        path = folder / f"{layout}.tflite"
        to_litert(classifier, path, layout=layout)
        report = report or verify(classifier, path)
        to_web(classifier, path, folder / layout, report=report)
    pairs = [[text, None] for text in texts()]
    tasks = [
        {"page": layout, "texts": pairs, "typed": TYPED} for layout in LAYOUTS
    ]
    tasks[0]["texts"] = [*pairs, ["Wake me up.", "It is seven."]]
    (folder / "tasks.json").write_text(json.dumps(tasks))
    handler = functools.partial(QuietHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        finished = subprocess.run(
            ["node", SCRIPT, chromium, url, folder / "tasks.json", folder],
            capture_output=True,
            text=True,
            timeout=240,
        )
        server.shutdown()
    assert finished.returncode == 0, finished.stderr[-3000:]
    return {"url": url, "folder": folder, **json.loads(finished.stdout)}


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def scores(page, count):
    return np.array(
        [
            [entry["score"] for entry in result["classes"]]
            for result in page["results"][:count]
        ]
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_same_labels_and_scores_as_keras(seen, classifier, layout):
    page = seen["pages"][layout]
    runtime = {"rolled": "LiteRT.js", "unrolled": "MediaPipe"}[layout]
    assert page["runtime"] == runtime
    expected = classifier.probabilities(classifier.predict_by_length(texts()))
    received = scores(page, len(texts()))
    same = received.argmax(-1) == np.asarray(expected).argmax(-1)
    assert same.all(), [texts()[i][:80] for i in np.flatnonzero(~same)]
    assert np.abs(received - np.asarray(expected)).max() < 1e-3
    # The texts do tell the classes apart.
    assert len(set(received.argmax(-1))) > 1
    names = [entry["label"] for entry in page["results"][0]["classes"]]
    assert names == LABELS


def test_pairs(seen, classifier):
    pair = ("Wake me up.", "It is seven.")
    expected = classifier.probabilities(classifier.predict_by_length([pair]))
    received = scores(seen["pages"]["rolled"], None)[-1]
    assert np.abs(received - np.asarray(expected)[0]).max() < 1e-3


@pytest.mark.parametrize("layout", LAYOUTS)
def test_page_shows_labels_and_facts(seen, classifier, layout):
    shown = seen["pages"][layout]["shown"]
    assert shown["best"] == classifier.classify(TYPED)["label"]
    assert shown["labels"] == len(LABELS)
    assert shown["latency"].endswith(" ms")
    assert f"{layout} layout, float32" in shown["facts"]
    assert "32 tokens" in shown["facts"]
    assert (seen["folder"] / f"{layout}.png").stat().st_size > 10_000


def test_no_other_host_is_contacted(seen):
    assert seen["requests"]
    others = {
        url
        for url in seen["requests"]
        if not url.startswith((seen["url"] + "/", "data:", "blob:"))
    }
    assert others == set()
    assert seen["errors"] == []
