"""What the runtime processes share: loading, running, measuring, telling.

Each `run_*.py` beside this file is run as a script, in a process that holds
one runtime and NumPy and nothing of this package:

    python run_litert.py ARTIFACT THREADS

It loads the artifact and writes a line of JSON to stdout: the signatures,
`{name: {"inputs": {name: shape}, "outputs": [name]}}`, `null` for an open
dimension. It then reads a line of JSON from stdin, `{"request": PATH,
"arrays": PATH, "results": PATH}`, two files to read and one to write:

- `request`: `{"latency": [RUN], "examples": [RUN]}`, where a RUN is
  `{"signature": NAME, "texts": {input: [string]}, "arrays": [input]}`;
- `arrays`: the array of the input `NAME` of `latency` run 3 is
  `latency/3/NAME`;
- `results`: the output `NAME` of example 3 is `3/NAME`; `report` is a JSON
  text: memory in bytes above the bare runtime once the first latency run is
  done, latencies in milliseconds.
"""

import json
import os
import sys
import time

import numpy as np

REPETITIONS = 15
# Of one latency, in seconds: long texts are repeated less often.
PATIENCE = 3.0
FEWEST = 4


def memory():
    """Resident memory now and its peak, in bytes; `None` where unknown."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
    except OSError:
        return None, None
    return tuple(
        int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM")
    )


def forget_peak():
    """Sets the peak back to the memory resident now, where Linux lets us."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        pass  # The peak then includes that of the imports.


class _Growth:
    """By how much memory has grown, and had at its peak, in bytes.

    What reads and writes files here is not the runtime's, so that only
    loading and running are looked at.
    """

    def __init__(self):
        forget_peak()
        self._before, _ = memory()
        self.resident = self.peak = None

    def stop(self):
        if self._before is not None:
            resident, peak = memory()
            self.resident = resident - self._before
            self.peak = peak - self._before


def serve(load):
    """Loads, tells the signatures, and runs what is then asked for.

    Args:
        load: function from the artifact's path and the number of threads to
            the signatures and a function that runs one of them: from its
            name and a dictionary of inputs (arrays, or lists of strings) to
            a dictionary of arrays.
    """
    # Libraries that print to stdout must not end up in what is told.
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    artifact, threads = sys.argv[1:]
    loading = _Growth()
    signatures, run = load(artifact, int(threads))
    loading.stop()
    print(json.dumps(signatures), file=told, flush=True)
    paths = json.loads(sys.stdin.readline())
    with open(paths["request"], encoding="utf-8") as file:
        request = json.load(file)
    with np.load(paths["arrays"]) as file:
        arrays = {name: file[name] for name in file.files}

    def inputs(kind, index, entry):
        given = dict(entry["texts"])
        for name in entry["arrays"]:
            given[name] = arrays[f"{kind}/{index}/{name}"]
        return given

    report = {"latency": [], "resident_bytes": None, "peak_bytes": None}
    for index, entry in enumerate(request["latency"]):
        given = inputs("latency", index, entry)
        running = _Growth()
        times = _times(lambda: run(entry["signature"], given))  # noqa: B023
        running.stop()
        report["latency"].append(
            {"first_ms": times[0], "median_ms": float(np.median(times[1:]))}
        )
        if index == 0 and loading.resident is not None:
            report["resident_bytes"] = loading.resident + running.resident
            report["peak_bytes"] = max(
                loading.peak, loading.resident + running.peak
            )
    results = {}
    for index, entry in enumerate(request["examples"]):
        outputs = run(entry["signature"], inputs("examples", index, entry))
        for name, value in outputs.items():
            results[f"{index}/{name}"] = np.asarray(value)
    np.savez(paths["results"], report=json.dumps(report), **results)


def _times(run):
    times = []
    began = time.perf_counter()
    while len(times) < REPETITIONS:
        start = time.perf_counter()
        run()
        now = time.perf_counter()
        times.append(1000.0 * (now - start))
        if len(times) >= FEWEST and now - began > PATIENCE:
            break
    return times


def shape_of(sizes):
    """A shape for JSON, `None` where any size goes."""
    return [
        int(n) if not isinstance(n, str) and n is not None and n >= 0 else None
        for n in sizes
    ]
