"""Worker processes that fail or die end a preparation, and do not hang it."""

import subprocess
import sys
import time

import pytest

pytest.importorskip("apache_beam", reason="needs the extra [beam]")
pytest.importorskip("google_crc32c", reason="needs the extra [beam]")

pytestmark = pytest.mark.once

# What each worker imports when it starts, and nobody else.
FAULT = """
import sys
if "keras_albert.pretraining.worker" in sys.orig_argv:
    import os
    from keras_albert.pretraining import encoding
    def fail(self, sentences):
        {what}
    encoding.DocumentEncoder.encode = fail
"""


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("raise RuntimeError('the encoder is broken')", "encoder is broken"),
        ("os.kill(os.getpid(), 9)", "One was stopped"),
    ],
    ids=["fails", "killed"],
)
def test_a_worker(tmp_path, tokenizer, monkeypatch, what, words):
    (tmp_path / "sitecustomize.py").write_text(FAULT.format(what=what))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    (tmp_path / "vocabulary.spm").write_bytes(tokenizer.proto)
    text = "\n\n".join(f"This is document {i} of some." for i in range(50))
    (tmp_path / "text.txt").write_text(text)
    command = [sys.executable, "-m", "keras_albert", "prepare-pretraining"]
    command += [tmp_path / "text.txt", "--vocabulary"]
    command += [tmp_path / "vocabulary.spm", "-o", tmp_path / "data"]
    finished = subprocess.run(
        [*map(str, command), "--workers", "2"],
        capture_output=True,
        text=True,
        timeout=300,  # It would be for ever.
    )
    assert finished.returncode == 2
    lines = finished.stderr.splitlines()
    (line,) = [x for x in lines if x.startswith("keras-albert: error: ")]
    assert "must run to the end" in line and words in line
    assert "Traceback" not in finished.stderr, finished.stderr
    left = sorted(path.name for path in (tmp_path / "data").iterdir())
    assert left == [".lock"]
    assert not workers_of(tmp_path)


def workers_of(folder):
    """Worker processes of a run there that are still alive."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        listed = subprocess.run(
            ["ps", "-eo", "args"], capture_output=True, text=True
        ).stdout
        alive = [x for x in listed.splitlines() if str(folder) in x]
        if not alive:
            break
        time.sleep(0.2)
    return alive
