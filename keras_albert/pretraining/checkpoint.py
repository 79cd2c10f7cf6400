"""What a pretraining run continues from: one file, replaced as a whole."""

import json
import os
import zipfile

import keras
import numpy as np

from keras_albert.presets.saving import whole_file

CHECKPOINT_FILE = "checkpoint.npz"
_PROGRESS = "progress"


class Checkpoint:
    """The checkpoint of a run folder.

    A single file, so that there is either the former one or the new one,
    whenever the process may be killed.

    Args:
        folder: string, path of the run folder.
    """

    def __init__(self, folder):
        self.path = os.path.join(folder, CHECKPOINT_FILE)

    def save(self, progress, variables):
        """Replaces the checkpoint.

        Args:
            progress: dictionary for JSON.
            variables: list of Keras variables, of model and optimizer, or of
                their values.

        Raises:
            OSError: if it cannot be written; the former one is unharmed.
        """
        text = json.dumps(progress).encode()
        arrays = {_PROGRESS: np.frombuffer(text, "uint8")}
        for index, variable in enumerate(variables):
            arrays[str(index)] = keras.ops.convert_to_numpy(variable)
        with whole_file(self.path) as partial, open(partial, "wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())

    def load_progress(self):
        """The saved progress, or `None` if there is no checkpoint.

        Raises:
            ValueError: if the file is damaged.
        """
        if not os.path.exists(self.path):
            return None
        return json.loads(self._read()[_PROGRESS].tobytes())

    def load_arrays(self, variables):
        """The values that were saved.

        Args:
            variables: list of Keras variables, in the order of saving.

        Returns:
            list of arrays.

        Raises:
            ValueError: if they are others than were saved, or the file is
                damaged.
        """
        arrays = self._read()
        shapes = [arrays[str(i)].shape for i in range(len(arrays) - 1)]
        if shapes != [tuple(variable.shape) for variable in variables]:
            raise ValueError(
                f"{self.path} must hold the {len(variables)} variables of "
                f"this model and optimizer. It holds {len(shapes)}, or other "
                "shapes; choose another folder."
            )
        return [
            arrays[str(index)].astype(variable.dtype)
            for index, variable in enumerate(variables)
        ]

    def _read(self):
        try:
            with np.load(self.path, allow_pickle=False) as arrays:
                state = dict(arrays)
        except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise self._damaged(f"damaged: {error}") from error
        if _PROGRESS not in state:
            raise self._damaged(f"another file: it has no {_PROGRESS}")
        return state

    def _damaged(self, what):
        return ValueError(
            f"{self.path} must be a checkpoint of `pretrain`. It is {what}. "
            "Remove the folder to start from the beginning."
        )
