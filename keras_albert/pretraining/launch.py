"""What a launcher's environment says: which process of how many this is."""

import dataclasses
import os
import re

# The number of processes and the index of this one, the first pair that is
# set. Keras's and JAX's are set by hand; torchrun, SLURM and Open MPI set
# theirs for all that they start.
_OF_USERS = (
    ("KERAS_DISTRIBUTION_NUM_PROCESSES", "KERAS_DISTRIBUTION_PROCESS_ID"),
    ("JAX_NUM_PROCESSES", "JAX_PROCESS_ID"),
)
_OF_LAUNCHERS = (
    ("WORLD_SIZE", "RANK"),
    ("SLURM_NTASKS", "SLURM_PROCID"),
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
)
_ADDRESSES = ("KERAS_DISTRIBUTION_JOB_ADDRESSES", "JAX_COORDINATOR_ADDRESS")
# A port, after a name, an IPv4 address or an IPv6 address in brackets.
_ADDRESS = re.compile(r"(?:\[[^\s/\[\]]+\]|[^\s:/\[\]]+):([0-9]{1,5})")
_LARGEST_PORT = 2**16 - 1
_MOST_PROCESSES = 2**31 - 1  # Of JAX.
_DIGITS = 20
# Where all of these are, JAX finds process 0 by itself.
_FOUND_BY_JAX = (
    ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_LOCALID"),
    ("OMPI_MCA_orte_hnp_uri",),
)


@dataclasses.dataclass(frozen=True)
class Launch:
    """This process among those of a run.

    Attributes:
        processes: int, how many there are, at least 2.
        process: int, the index of this one.
        address: string, `host:port` where process 0 is reached; `None` where
            JAX finds it.
    """

    processes: int
    process: int
    address: str | None


def find_launch(environ=os.environ):
    """Reads who started this process, and as which.

    By the number of processes, the index of this one, and the address of
    process 0:

    - set by hand: `KERAS_DISTRIBUTION_NUM_PROCESSES`,
      `KERAS_DISTRIBUTION_PROCESS_ID`, `KERAS_DISTRIBUTION_JOB_ADDRESSES`; or
      `JAX_NUM_PROCESSES`, `JAX_PROCESS_ID`, `JAX_COORDINATOR_ADDRESS`;
    - torchrun: `WORLD_SIZE`, `RANK`, `MASTER_ADDR` with `MASTER_PORT` + 1;
    - srun: `SLURM_NTASKS`, `SLURM_PROCID`; JAX finds the address;
    - mpirun: `OMPI_COMM_WORLD_SIZE`, `OMPI_COMM_WORLD_RANK`; JAX finds the
      address where there is `OMPI_MCA_orte_hnp_uri`.

    What is set by hand counts first.

    Args:
        environ: dictionary of environment variables.

    Returns:
        A `Launch`; `None` where one process was started.

    Raises:
        ValueError: if variables are missing, no numbers, or contradict each
            other.
    """
    pair = _pair(environ)
    if pair is None:
        _check_no_address(environ)
        return None
    processes, process = (read_number(environ, name) for name in pair)
    if processes > _MOST_PROCESSES:
        raise ValueError(
            f"{pair[0]} must be at most {_MOST_PROCESSES}. Received: "
            f"{processes}."
        )
    if not 0 <= process < processes:
        raise ValueError(
            f"{pair[1]} must be from 0 to {pair[0]} - 1. Received: "
            f"{pair[1]}={process}, {pair[0]}={processes}."
        )
    if processes == 1:
        return None
    return Launch(processes, process, _address(environ, processes))


def _pair(environ):
    for pair in _OF_USERS:
        if any(environ.get(name) for name in pair):
            return pair
    for pair in _OF_LAUNCHERS:
        # SLURM sets some in scripts that start no steps.
        in_step = "SLURM_STEP_NODELIST" in environ or "SLURM" not in pair[0]
        if in_step and all(environ.get(name) for name in pair):
            return pair
    return None


def _check_no_address(environ):
    """Raises ValueError where processes that are to meet would not."""
    for name, numbers in zip(_ADDRESSES, _OF_USERS, strict=True):
        if environ.get(name):
            raise ValueError(
                f"{name} must come with {' and '.join(numbers)}, which tell "
                "how many processes there are and which one this is. "
                f"Received: {name}={environ[name]} alone; set them too, or "
                "unset it for a run of one process."
            )


def read_number(environ, name):
    """The number that a launcher's variable holds.

    Args:
        environ: dictionary of environment variables.
        name: string.

    Raises:
        ValueError: if it is missing, or no number from 0 on.
    """
    value = environ.get(name, "")
    if not value.isascii() or not value.isdecimal() or len(value) > _DIGITS:
        raise ValueError(
            f"The environment variable {name} must be a number from 0 on, "
            "since others say that this is one of several processes. "
            f"Received: {value!r}."
        )
    return int(value)


def _address(environ, processes):
    address = environ.get("KERAS_DISTRIBUTION_JOB_ADDRESSES")
    if address and "," in address:
        addresses = address.split(",")
        if len(addresses) != processes:
            raise ValueError(
                "KERAS_DISTRIBUTION_JOB_ADDRESSES must hold the address of "
                f"process 0, or one a process. Received: {len(addresses)} "
                f"addresses for {processes} processes."
            )
        address = addresses[0]
    address = address or environ.get("JAX_COORDINATOR_ADDRESS")
    if not address and environ.get("MASTER_ADDR"):
        port = read_number(environ, "MASTER_PORT")
        # torchrun itself listens at its port as long as its processes run.
        port += environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
        address = f"{environ['MASTER_ADDR']}:{port}"
    if not address:
        for names in _FOUND_BY_JAX:
            if all(environ.get(name) for name in names):
                return None
        raise ValueError(
            "Several processes must know where to reach process 0: set "
            "KERAS_DISTRIBUTION_JOB_ADDRESSES=HOST:PORT for all of them."
        )
    match = _ADDRESS.fullmatch(address.strip())
    if match is None or not 0 < int(match[1]) <= _LARGEST_PORT:
        raise ValueError(
            "The address of process 0 must be HOST:PORT, with a port from 1 "
            f"to {_LARGEST_PORT}, and IPv6 addresses in brackets. Received: "
            f"{address!r}."
        )
    return address.strip()
