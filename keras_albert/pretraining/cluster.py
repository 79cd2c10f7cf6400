"""The devices of a run, in one process or in several."""

import atexit
import contextlib
import json
import os
import sys
import traceback

import keras
import numpy as np

from keras_albert.pretraining.launch import find_launch, read_number

# How arrays of bytes are padded, so that few sizes are compiled.
_BLOCK = 4096


class Cluster:
    """One process that trains on one device.

    Attributes:
        processes: int, how many take part in the run.
        process: int, the index of this one. Process 0 writes.
        replicas: int, the equal parts that a batch is worked off in at once.
        readers: int, how many read data of their own.
        reader: int, as which of them this process reads.
        mirrored: int, the replicas of TensorFlow's `MirroredStrategy`.
        divides_between_processes: bool. Whether a process cannot save the
            model that it trains.
        description: dictionary for JSON, what the numbers of a run depend
            on; `None` for this class.
    """

    processes = 1
    process = 0
    replicas = 1
    readers = 1
    reader = 0
    mirrored = 1
    divides_between_processes = False
    description: dict | None = None

    @property
    def is_first(self):
        return self.process == 0

    def lay_out(self, intermediate_dim, vocabulary_size):
        """Chooses what of a model each device holds, before `scope`.

        Args:
            intermediate_dim: int.
            vocabulary_size: int.

        Raises:
            ValueError: if the model cannot be divided so.
        """

    def scope(self):
        """A context manager, in which a model is made and trained."""
        return contextlib.nullcontext()

    def failing_as_one(self):
        """A context manager, after whose failure no process waits for others.

        Raises:
            RuntimeError: if another process has ended.
        """
        return contextlib.nullcontext()

    def gather(self, value):
        """What each process has, known to all of them.

        Args:
            value: anything for JSON.

        Returns:
            list, the values in the order of the processes.
        """
        return [value]

    def together(self, function):
        """Calls a function in each process, and fails in all if in one.

        Otherwise those that did not fail would wait for the one that did.

        Args:
            function: function without arguments.

        Returns:
            What it returned in this process.

        Raises:
            ValueError, OSError: what it raised in this process, or the
                message of another one.
        """
        return function()

    def check_same(self, values):
        """Raises ValueError unless all processes have the same values.

        Args:
            values: dictionary for JSON.
        """

    def arrays(self, variables):
        """The whole values of variables, also of divided ones.

        Args:
            variables: list of Keras variables.

        Returns:
            list of arrays in process 0, `None` in others.
        """
        return [keras.ops.convert_to_numpy(variable) for variable in variables]

    def assign(self, variables, arrays):
        """Gives variables the values that process 0 has.

        Args:
            variables: list of Keras variables.
            arrays: list of arrays, used in process 0.
        """
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)


class MirroredCluster(Cluster):
    """Several devices of this host, with TensorFlow's `MirroredStrategy`.

    Args:
        devices: int.

    Raises:
        ValueError: if there are fewer.
    """

    def __init__(self, devices):
        import tensorflow as tf

        present = tf.config.list_logical_devices("GPU")
        present = present or tf.config.list_logical_devices("CPU")
        _check_devices(devices, len(present))
        names = [device.name for device in present[:devices]]
        self.strategy = tf.distribute.MirroredStrategy(names)
        self.replicas = self.mirrored = devices
        self.description = {"devices": devices}

    def scope(self):
        return self.strategy.scope()


class JaxCluster(Cluster):
    """Devices of one or several processes, with `keras.distribution`.

    They form a mesh of `batch` by `model`: a batch is divided along the
    first axis; along the second the feed-forward networks, token embedding
    and its bias, where the size of the vocabulary allows.

    Args:
        launch: a `Launch`, `None` for one process.
        devices: int, those of this process; `None`: all that there are.
        model_parallel: int, the devices that hold a model together.

    Raises:
        ValueError: if numbers do not fit.
        RuntimeError: if the processes do not find each other.
    """

    def __init__(self, launch, devices, model_parallel):
        if launch is not None:
            _initialize(launch)
        import jax

        self.processes = jax.process_count()
        self.process = jax.process_index()
        present = keras.distribution.list_devices()
        here = len(present) // self.processes
        _check_devices(here if devices is None else devices, here)
        if devices is not None:
            if self.processes > 1 and devices != here:
                raise ValueError(
                    "`devices` must be all that a process sees when there "
                    f"are several processes. Received: devices={devices}, "
                    f"and this process sees {here}; leave it out."
                )
            present = present[: devices * self.processes]
        here = len(present) // self.processes
        if here % model_parallel and model_parallel % here:
            raise ValueError(
                "`model_parallel` must divide the number of a process's "
                "devices, or be a multiple of it. Received: model_parallel="
                f"{model_parallel}, with {here} devices in each of "
                f"{self.processes} processes."
            )
        if len(present) % model_parallel:
            raise ValueError(
                "`model_parallel` must divide the number of all devices. "
                f"Received: model_parallel={model_parallel}, with "
                f"{len(present)} devices."
            )
        self.model_parallel = model_parallel
        self.replicas = len(present) // model_parallel
        self.mesh = keras.distribution.DeviceMesh(
            (self.replicas, model_parallel), ("batch", "model"), present
        )
        self.readers = min(self.replicas, self.processes)
        self.reader = self.process * self.readers // self.processes
        self.divides_between_processes = (
            self.processes > 1 and model_parallel > 1
        )
        self.distribution = None
        self.description = {
            "processes": self.processes,
            "devices": len(present),
            "model_parallel": model_parallel,
        }

    def lay_out(self, intermediate_dim, vocabulary_size):
        if intermediate_dim % self.model_parallel:
            raise ValueError(
                "`model_parallel` must divide `intermediate_dim`. Received: "
                f"model_parallel={self.model_parallel}, intermediate_dim="
                f"{intermediate_dim}."
            )
        layouts = keras.distribution.LayoutMap(self.mesh)
        layouts[".*/intermediate/kernel"] = (None, "model")
        layouts[".*/intermediate/bias"] = ("model",)
        layouts[".*/output_dense/kernel"] = ("model", None)
        if vocabulary_size % self.model_parallel == 0:
            layouts[".*/token_embedding/embeddings"] = ("model", None)
            layouts["mlm_head/output_bias"] = ("model",)
        self.distribution = keras.distribution.ModelParallel(
            layout_map=layouts,
            batch_dim_name="batch",
            auto_shard_dataset=False,
        )

    def scope(self):
        return self.distribution.scope()

    @contextlib.contextmanager
    def failing_as_one(self):
        if self.processes == 1:
            yield
            return
        atexit.unregister(_leave)
        try:
            yield
        except BaseException as error:
            # Before JAX's own handler, which waits for the other processes.
            atexit.register(_leave)
            # What JAX raises depends on where it notices.
            kinds = (RuntimeError, ValueError, AssertionError)
            if isinstance(error, kinds) and not _is_raised_here(error):
                raise RuntimeError(
                    f"Process {self.process} of {self.processes} cannot go "
                    "on. When another one has ended, its own messages tell "
                    "why; start all of them again with `resume`. Received: "
                    f"{error}"
                ) from error
            raise

    def gather(self, value):
        if self.processes == 1:
            return [value]
        from jax.experimental import multihost_utils

        text = json.dumps(value).encode()
        sizes = multihost_utils.process_allgather(np.array([len(text)]))
        blocks = -(-int(sizes.max()) // _BLOCK)
        padded = np.zeros(blocks * _BLOCK, "uint8")
        padded[: len(text)] = np.frombuffer(text, "uint8")
        texts = multihost_utils.process_allgather(padded)
        return [
            json.loads(row[: int(size)].tobytes())
            for row, size in zip(texts, sizes.reshape(-1), strict=True)
        ]

    def together(self, function):
        result, failure = None, None
        try:
            result = function()
        except (OSError, ValueError) as error:
            failure = error
        messages = self.gather(None if failure is None else str(failure))
        if failure is not None:
            raise failure
        for process, message in enumerate(messages):
            if message is not None:
                raise ValueError(f"Process {process} failed: {message}")
        return result

    def check_same(self, values):
        first, *others = self.gather(values)
        for process, other in enumerate(others, 1):
            for name in first:
                if first[name] != other[name]:
                    raise ValueError(
                        "All processes must be started with the same "
                        f"settings and data. Process 0 has {name} "
                        f"{first[name]}, process {process} has {name} "
                        f"{other[name]}."
                    )

    def arrays(self, variables):
        from jax.experimental import multihost_utils

        arrays = []
        for variable in variables:
            value = variable.value
            if not value.is_fully_replicated and self.processes > 1:
                value = multihost_utils.process_allgather(value, tiled=True)
            if self.is_first:
                arrays.append(keras.ops.convert_to_numpy(value))
        return arrays if self.is_first else None

    def assign(self, variables, arrays):
        if self.processes == 1:
            super().assign(variables, arrays)
            return
        from jax.experimental import multihost_utils

        for index, variable in enumerate(variables):
            array = np.zeros(variable.shape, variable.dtype)
            if self.is_first:
                array = arrays[index]
            variable.assign(multihost_utils.broadcast_one_to_all(array))


def join_cluster(devices=None, model_parallel=1):
    """Finds what a run trains on, and joins the other processes.

    Args:
        devices: int, devices of this process; `None`: one, or all that there
            are with several processes or a model that is divided.
        model_parallel: int, the devices that hold a model together.

    Returns:
        A `Cluster`.

    Raises:
        ValueError: if environment, backend and arguments do not fit.
        RuntimeError: if the processes do not find each other.
    """
    wanted = {"devices": devices, "model_parallel": model_parallel}
    for name, value in wanted.items():
        if value is not None and value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {value}.")
    backend = keras.backend.backend()
    is_joined = _is_initialized(backend)
    launch = None if is_joined else find_launch()
    is_one = devices in (None, 1) and model_parallel == 1
    if launch is None and is_one and not is_joined:
        return Cluster()
    if backend == "jax":
        return JaxCluster(launch, devices, model_parallel)
    if launch is not None:
        raise ValueError(
            "Several processes need JAX (KERAS_BACKEND=jax). This is process "
            f"{launch.process} of {launch.processes}, on {backend}."
        )
    if model_parallel > 1:
        raise ValueError(
            "`model_parallel` needs JAX (KERAS_BACKEND=jax). Received: "
            f"model_parallel={model_parallel}, on {backend}."
        )
    if backend == "tensorflow":
        return MirroredCluster(devices)
    raise ValueError(
        "Several devices need JAX or TensorFlow (KERAS_BACKEND). Received: "
        f"devices={devices}, on {backend}."
    )


def _check_devices(wanted, present):
    if wanted > present:
        raise ValueError(
            f"`devices` must be at most those of this process, {present}. "
            f"Received: devices={wanted}."
        )


def _is_initialized(backend):
    """Whether the user joined processes with `keras.distribution` before."""
    if backend != "jax":
        return False
    import jax

    return jax.distributed.is_initialized()


def _is_raised_here(error):
    last = traceback.extract_tb(error.__traceback__)[-1]
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return last.filename.startswith(package + os.sep)


def _leave():
    """Ends this process at once, by which others learn that it failed."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(2)


def _initialize(launch):
    several = os.environ.get("LOCAL_WORLD_SIZE")
    if several and read_number(os.environ, "LOCAL_WORLD_SIZE") > 1:
        # Of torchrun. JAX itself heeds SLURM's and Open MPI's variable.
        here = read_number(os.environ, "LOCAL_RANK")
        os.environ.setdefault("JAX_LOCAL_DEVICE_IDS", str(here))
    try:
        keras.distribution.initialize(
            launch.address, launch.processes, launch.process
        )
    except RuntimeError as error:
        raise RuntimeError(
            f"All {launch.processes} processes must reach process 0 at "
            f"{launch.address or 'the first host'}, and start within five "
            f"minutes. Process {launch.process} failed: {error}"
        ) from error
