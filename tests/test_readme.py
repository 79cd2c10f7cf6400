"""README's snippets and commands run as they stand there."""

import ast
import json
import pathlib
import re
import shlex
import shutil

import keras
import pytest

import keras_albert as ka
from keras_albert.cli import main

pytestmark = pytest.mark.once

# What a call gives, in a comment beside or below it.
COMMENT = re.compile(r"\s*# ([\[{].*)")
REPOSITORY = pathlib.Path(__file__).parent.parent
PRETRAINING = ("train-vocab", "prepare-pretraining", "pretrain")


def blocks(language):
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


@pytest.fixture(scope="module")
def readme_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    (folder / "examples").symlink_to(REPOSITORY / "examples")
    (folder / "runs" / "readme").mkdir(parents=True)
    # Your text: this repository's own.
    (folder / "corpus").mkdir()
    for path in [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")]:
        shutil.copy(path, folder / "corpus")
    return folder


def test_python_snippets_run(readme_folder, monkeypatch):
    monkeypatch.chdir(readme_folder)
    keras.utils.set_random_seed(0)
    namespace, compared = {}, 0
    for block in blocks("python"):
        for statement in ast.parse(block).body:
            code = ast.get_source_segment(block, statement)
            if not isinstance(statement, ast.Expr):
                exec(code, namespace)
                continue
            result = eval(code, namespace)
            shown = COMMENT.match("".join(block.partition(code)[2:]))
            if shown:
                # "…" stands for what is left out.
                pattern = re.escape(shown[1]).replace("…", ".*")
                assert re.match(pattern, json.dumps(result)), (code, result)
                compared += 1
    assert compared >= 5
    assert (readme_folder / "runs/readme/model.tflite").is_file()


def run_commands(capsys, are_wanted):
    commands = "".join(blocks("bash")).replace("\\\n", " ").splitlines()
    commands = [shlex.split(command) for command in commands if command.strip()]
    commands = [c for c in commands if are_wanted(c[1])]
    assert commands
    for program, *arguments in commands:
        assert program == "keras-albert"
        assert main(arguments) == 0, capsys.readouterr().err


def test_commands_run(readme_folder, monkeypatch, capsys):
    monkeypatch.chdir(readme_folder)
    run_commands(capsys, lambda verb: verb not in PRETRAINING)


def test_commands_of_pretraining_run(readme_folder, monkeypatch, capsys):
    pytest.importorskip("apache_beam", reason="needs the extra [beam]")
    monkeypatch.chdir(readme_folder)
    run_commands(capsys, lambda verb: verb in PRETRAINING)
    model = readme_folder / "runs/readme/pretraining/model"
    classifier = ka.AlbertTextClassifier.from_preset(model, labels=["a", "b"])
    assert classifier.backbone.vocabulary_size == 1000


def test_paths_named_in_documents_exist():
    documents = [
        *REPOSITORY.glob("*.md"),
        *REPOSITORY.glob("docs/*.md"),
        *REPOSITORY.glob("export/*.md"),
        *REPOSITORY.glob("export/*/*.md"),
    ]
    for document in documents:
        text = document.read_text(encoding="utf-8")
        text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (document.parent / target).exists(), (document, target)
