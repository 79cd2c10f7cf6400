"""An artifact in its own runtime, in a process of its own."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

from keras_albert.export.artifacts import RUNTIMES
from keras_albert.export.report import VerificationError

THREADS = 2
_FOLDER = os.path.join(os.path.dirname(__file__), "runtimes")


class RuntimeProcess:
    """A process that holds one runtime, NumPy, and one artifact.

    A file that brings its runtime down takes only this process with it.

    Args:
        artifact: string, path.
        format_: string, a key of `RUNTIMES`.
        threads: int, how many threads the runtime gets.

    Attributes:
        signatures: dictionary of the artifact's signatures, name to
            `{"inputs": {name: shape}, "outputs": [name]}`; `None` in a shape
            where any size goes.

    Raises:
        ImportError: if the runtime is not installed.
        VerificationError: if the artifact does not load.
    """

    def __init__(self, artifact, format_, threads=THREADS):
        script, package, distribution = RUNTIMES[format_]
        if importlib.util.find_spec(package) is None:
            raise ImportError(
                f"Running {artifact!r} needs `{distribution}`. Install it "
                "with `pip install keras-albert[export]`."
            )
        self.artifact = artifact
        self._folder = tempfile.TemporaryDirectory()
        # A file, since a full pipe would stop a runtime that tells a lot.
        path = os.path.join(self._folder.name, "stderr")
        self._errors = open(path, "w+b")  # noqa: SIM115
        self._process = subprocess.Popen(
            [
                sys.executable,
                os.path.join(_FOLDER, script),
                artifact,
                str(threads),
            ],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        line = self._process.stdout.readline()
        if not line:
            self._fail("does not load in its runtime")
        self.signatures = json.loads(line)

    def run(self, latency, examples):
        """Runs inputs, once.

        Args:
            latency: list of runs that are repeated and timed, one a line of
                the report. A run is a pair of a signature's name and a
                dictionary of inputs, arrays or lists of strings.
            examples: list of runs of which the outputs are wanted.

        Returns:
            The report, see `runtimes/measure.py`, and a list of the
            dictionaries of outputs of the examples.

        Raises:
            VerificationError: if the artifact does not run.
        """
        paths = {
            name: os.path.join(self._folder.name, file)
            for name, file in (
                ("request", "request.json"),
                ("arrays", "arrays.npz"),
                ("results", "results.npz"),
            )
        }
        request, arrays = {}, {}
        for kind, runs in (("latency", latency), ("examples", examples)):
            request[kind] = []
            for index, (signature, inputs) in enumerate(runs):
                texts = {n: x for n, x in inputs.items() if type(x) is list}
                names = [n for n in inputs if n not in texts]
                request[kind].append(
                    {"signature": signature, "texts": texts, "arrays": names}
                )
                for name in names:
                    arrays[f"{kind}/{index}/{name}"] = inputs[name]
        with open(paths["request"], "w", encoding="utf-8") as file:
            json.dump(request, file)
        np.savez(paths["arrays"], **arrays)
        try:
            self._process.stdin.write(json.dumps(paths) + "\n")
            self._process.stdin.close()
        except OSError:
            pass  # It has ended; why comes next.
        if self._process.wait():
            names = sorted({n for _, x in latency + examples for n in x})
            self._fail(
                "does not run in its runtime with the inputs "
                + ", ".join(names)
            )
        with np.load(paths["results"]) as file:
            results = {name: file[name] for name in file.files}
        report = json.loads(str(results.pop("report")))
        outputs = [{} for _ in examples]
        for key, value in results.items():
            index, _, name = key.partition("/")
            outputs[int(index)][name] = value
        return report, outputs

    def _fail(self, what):
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        lines = [line.strip() for line in lines if line.strip()]
        reason = lines[-1] if lines else "no message"
        if code < 0:
            reason = f"the runtime crashed (signal {-code})"
        raise VerificationError(
            f"{self.artifact!r} {what}: {reason.rstrip('.')}. Is it whole, "
            "and was it exported from this model?"
        )

    def close(self):
        """Ends the process."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if not stream.closed:
                stream.close()
        self._errors.close()
        self._folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
