"""The folder of a training run: its lock, its files, the state to resume."""

import contextlib
import csv
import json
import os
import shutil
import zipfile

import numpy as np

from keras_albert.presets.locking import locked_folder
from keras_albert.presets.saving import (
    clear_leftovers,
    whole_file,
    whole_folder,
)

MODEL_FOLDER = "model"
STATE_FOLDER = "state"
LOGS_FOLDER = "logs"
METRICS_FILE = "metrics.json"
HISTORY_FILE = "history.csv"
PLOT_FILE = "training.png"
_PROGRESS_FILE = "progress.json"
_VARIABLES_FILE = "variables.npz"
_PROGRESS = {"settings", "finished", "history", "curve"}
_RUN_FILES = (MODEL_FOLDER, STATE_FOLDER, METRICS_FILE, HISTORY_FILE)


class RunFolder:
    """A folder that one run at a time writes to.

    Args:
        path: string or path.

    Attributes:
        path: string, absolute.
    """

    def __init__(self, path):
        if not os.fspath(path):
            raise ValueError(
                "The output must be a folder. Received an empty path; name it."
            )
        self.path = os.path.abspath(os.fspath(path))

    def file(self, name):
        """The path of a file of the folder."""
        return os.path.join(self.path, name)

    @contextlib.contextmanager
    def locked(self):
        """Holds the folder's lock; the system releases it with the process.

        Raises:
            OSError: if the folder cannot be written, or another run holds
                the lock.
        """
        with locked_folder(self.path):
            for name in (*_RUN_FILES, PLOT_FILE):
                clear_leftovers(self.file(name))
            yield self

    def holds_a_run(self):
        """Whether there is anything that a new run would write over."""
        return any(os.path.exists(self.file(name)) for name in _RUN_FILES)

    def clear(self):
        """Removes what earlier runs wrote, and nothing else."""
        for name in (*_RUN_FILES, LOGS_FOLDER):
            if os.path.isdir(self.file(name)):
                shutil.rmtree(self.file(name))
        for name in (METRICS_FILE, HISTORY_FILE, PLOT_FILE):
            with contextlib.suppress(FileNotFoundError):
                os.remove(self.file(name))

    # === State ===

    def save_state(self, progress, variables=()):
        """Saves what a run continues from, whole or not at all.

        Args:
            progress: dictionary for JSON.
            variables: list of Keras variables, of model and optimizer.
        """
        arrays = {}
        for index, variable in enumerate(variables):
            value = np.asarray(_to_numpy(variable))
            if value.dtype.name == "bfloat16":
                value = value.astype("float32")
            arrays[str(index)] = value
        state = self.file(STATE_FOLDER)
        files = (_PROGRESS_FILE, _VARIABLES_FILE)
        with whole_folder(state, replaces=files) as folder:
            if arrays:
                np.savez(os.path.join(folder, _VARIABLES_FILE), **arrays)
            with open(
                os.path.join(folder, _PROGRESS_FILE), "w", encoding="utf-8"
            ) as file:
                json.dump(progress, file, indent=1)

    def load_progress(self):
        """The saved progress, or `None` when no epoch was finished.

        Raises:
            ValueError: if the file is not what was saved.
        """
        path = os.path.join(self.file(STATE_FOLDER), _PROGRESS_FILE)
        if not os.path.isfile(path):
            return None
        try:
            with open(path, encoding="utf-8") as file:
                progress = json.load(file)
        except ValueError as error:
            raise self._damaged(path, error) from error
        if not isinstance(progress, dict) or not progress.keys() >= _PROGRESS:
            raise self._damaged(
                path, f"it lacks {', '.join(sorted(_PROGRESS))}"
            )
        return progress

    def _damaged(self, path, reason):
        return ValueError(
            f"{path} must be what the run saved. It is not: {reason}. Remove "
            f"{self.path} to start from the beginning."
        )

    def load_variables(self, variables):
        """Gives variables the values that were saved.

        Args:
            variables: list of Keras variables, in the order of saving.

        Raises:
            ValueError: if they are others than were saved.
        """
        path = os.path.join(self.file(STATE_FOLDER), _VARIABLES_FILE)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                values = [arrays[str(i)] for i in range(len(arrays.files))]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise self._damaged(path, error) from error
        shapes = [value.shape for value in values]
        if shapes != [tuple(variable.shape) for variable in variables]:
            raise ValueError(
                f"{path} must hold the {len(variables)} variables of "
                f"this model and optimizer. It holds {len(shapes)}, or "
                "other shapes; choose another folder."
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value.astype(variable.dtype))

    # === Results ===

    def write_history(self, history):
        """Writes `history.csv`, a row an epoch.

        Args:
            history: list of dictionaries, all with the same keys.
        """
        with _text_file(self.file(HISTORY_FILE)) as file:
            writer = csv.DictWriter(file, fieldnames=list(history[0]))
            writer.writeheader()
            writer.writerows(history)

    def write_metrics(self, metrics):
        """Writes `metrics.json`.

        Args:
            metrics: dictionary for JSON.
        """
        with _text_file(self.file(METRICS_FILE)) as file:
            json.dump(metrics, file, indent=1)
            file.write("\n")

    def read_metrics(self):
        """Reads `metrics.json`.

        Raises:
            ValueError: if the file is not what was saved.
        """
        path = self.file(METRICS_FILE)
        try:
            with open(path, encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError) as error:
            raise self._damaged(path, error) from error


@contextlib.contextmanager
def _text_file(path):
    with (
        whole_file(path) as partial,
        open(partial, "w", encoding="utf-8", newline="") as file,
    ):
        yield file


def _to_numpy(variable):
    import keras

    return keras.ops.convert_to_numpy(variable)
