"""Imports run downward only, and importing the package alone is cheap."""

import ast
import pathlib
import subprocess
import sys

import pytest

pytestmark = pytest.mark.once

PACKAGE = pathlib.Path(__file__).parent.parent / "keras_albert"
# From the ground up; folders on one floor do not import each other.
FLOORS = (
    {"layers", "optimizers", "metrics", "checkpoints"},
    {"presets"},
    {"models"},
    {"preprocessing", "data"},
    {"tasks"},
    {"training", "pretraining"},
    {"export"},
    {"cli"},
)
FLOOR_OF = {folder: i for i, floor in enumerate(FLOORS) for folder in floor}


def imported_folders(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [
                node.module
            ]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if (
                parts[0] == "keras_albert"
                and parts[1:2]
                and (parts[1] in FLOOR_OF)
            ):
                yield parts[1]


def test_every_folder_has_a_floor():
    folders = {
        p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()
    }
    assert folders <= set(FLOOR_OF)


@pytest.mark.parametrize("folder", sorted(FLOOR_OF))
def test_imports_run_downward(folder):
    for path in (PACKAGE / folder).rglob("*.py"):
        for imported in imported_folders(path):
            assert imported == folder or (
                FLOOR_OF[imported] < FLOOR_OF[folder]
            ), f"{path} imports {imported}"


def in_fresh_process(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_importing_the_package_loads_no_framework():
    code = (
        "import sys, keras_albert; "
        "print([m for m in ('keras', 'tensorflow', 'jax', 'torch', 'numpy') "
        "if m in sys.modules])"
    )
    assert in_fresh_process(code) == "[]"


def test_importing_tasks_registers_every_class():
    code = (
        "import keras, keras_albert as ka, keras_albert.tasks\n"
        "before = set(keras.saving.get_custom_objects())\n"
        "[getattr(ka, name) for name in ka.__all__]\n"
        "print(sorted(set(keras.saving.get_custom_objects()) - before))"
    )
    assert in_fresh_process(code).splitlines()[-1] == "[]"
