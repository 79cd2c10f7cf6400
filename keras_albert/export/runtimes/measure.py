"""What the runtime processes share: reading, running, measuring, writing.

Each `run_*.py` beside this file is run as a script, in a process that holds
one runtime and NumPy and nothing of this package:

    python run_litert.py ARTIFACT EXAMPLES.npz RESULTS.npz THREADS

`EXAMPLES.npz` holds arrays named `NAME/INDEX`, the inputs of each example,
and `latency/NAME`, one input that is run repeatedly. `RESULTS.npz` gets the
outputs likewise, and `report`, a JSON text: memory in bytes above the bare
runtime, latency in milliseconds.
"""

import json
import time

import numpy as np

REPETITIONS = 15


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


def measure(load, artifact, examples_path, results_path, threads):
    """Runs the repeated input, then the examples, and writes what came out.

    Args:
        load: function from the artifact's path and the number of threads to
            a function that runs it (inputs by name to outputs by name) and
            a function that returns entries for the report.
        artifact: string, path.
        examples_path: string, path.
        results_path: string, path.
        threads: string, a number.
    """
    with np.load(examples_path) as file:
        arrays = {name: file[name] for name in file.files}
    latency_inputs, examples = {}, {}
    for name, array in arrays.items():
        first, _, last = name.partition("/")
        if first == "latency":
            latency_inputs[last] = array
        else:
            examples.setdefault(int(last), {})[first] = array

    forget_peak()
    bare, _ = memory()
    run, details = load(artifact, int(threads))
    times = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        run(**latency_inputs)
        times.append(1000.0 * (time.perf_counter() - start))
    resident, peak = memory()

    results = {}
    for index, inputs in examples.items():
        for name, output in run(**inputs).items():
            results[f"{name}/{index}"] = output
    report = {
        "resident_bytes": None if bare is None else resident - bare,
        "peak_bytes": None if bare is None else peak - bare,
        "first_latency_ms": times[0],
        "median_latency_ms": float(np.median(times[1:])),
        "latency_tokens": int(latency_inputs["token_ids"].shape[-1]),
        **details(),
    }
    np.savez(results_path, report=json.dumps(report), **results)
