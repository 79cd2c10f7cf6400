"""Which launchers are understood, and what is refused."""

import pytest

from keras_albert.pretraining.launch import Launch, find_launch

pytestmark = pytest.mark.once

KERAS = {
    "KERAS_DISTRIBUTION_JOB_ADDRESSES": "10.0.0.1:8476",
    "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
    "KERAS_DISTRIBUTION_PROCESS_ID": "1",
}
# As `sbatch --ntasks 4` sets it in the script itself.
BATCH_SCRIPT = {
    "SLURM_JOB_ID": "7",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        (KERAS, Launch(2, 1, "10.0.0.1:8476")),
        (
            {
                **KERAS,
                "KERAS_DISTRIBUTION_JOB_ADDRESSES": "10.0.0.1:80,10.0.0.2:81",
            },
            Launch(2, 1, "10.0.0.1:80"),
        ),
        (
            {
                "JAX_COORDINATOR_ADDRESS": "[fe80::1]:8476",
                "JAX_NUM_PROCESSES": "3",
                "JAX_PROCESS_ID": "0",
            },
            Launch(3, 0, "[fe80::1]:8476"),
        ),
        (
            {
                "MASTER_ADDR": "node1",
                "MASTER_PORT": "29500",
                "WORLD_SIZE": "4",
                "RANK": "3",
                "LOCAL_RANK": "1",
            },
            Launch(4, 3, "node1:29500"),
        ),
        # torchrun holds the port that it tells.
        (
            {
                "MASTER_ADDR": "node1",
                "MASTER_PORT": "29500",
                "WORLD_SIZE": "4",
                "RANK": "3",
                "TORCHELASTIC_USE_AGENT_STORE": "True",
            },
            Launch(4, 3, "node1:29501"),
        ),
        (BATCH_SCRIPT, None),
        (
            {**BATCH_SCRIPT, "SLURM_STEP_NODELIST": "n[1-4]"},
            Launch(4, 0, None),
        ),
        (
            {
                "OMPI_COMM_WORLD_SIZE": "2",
                "OMPI_COMM_WORLD_RANK": "1",
                "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1:34911",
            },
            Launch(2, 1, None),
        ),
        # What was set by hand counts.
        (
            {**KERAS, **BATCH_SCRIPT, "SLURM_STEP_NODELIST": "n1"},
            Launch(2, 1, "10.0.0.1:8476"),
        ),
        # Launchers that start one process only.
        ({"WORLD_SIZE": "1", "RANK": "0"}, None),
    ],
)
def test_launchers(environment, expected):
    assert find_launch(environment) == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"PROCESS_ID": "2"}, "from 0 to KERAS_DISTRIBUTION_NUM_PROCESSES"),
        ({"PROCESS_ID": "-1"}, "must be a number"),
        ({"PROCESS_ID": "first"}, "'first'"),
        ({"NUM_PROCESSES": ""}, "KERAS_DISTRIBUTION_NUM_PROCESSES must be"),
        ({"NUM_PROCESSES": "0"}, "from 0 to"),
        ({"JOB_ADDRESSES": ""}, "where to reach process 0"),
        ({"JOB_ADDRESSES": "10.0.0.1"}, "HOST:PORT.*Received: '10.0.0.1'"),
        ({"JOB_ADDRESSES": "a:1,b:2,c:3"}, "3 addresses for 2 processes"),
        ({"JOB_ADDRESSES": "a:0"}, "port from 1 to 65535"),
        ({"JOB_ADDRESSES": "a:65536"}, "port from 1 to 65535"),
        ({"JOB_ADDRESSES": "http://a:80"}, "HOST:PORT"),
        ({"JOB_ADDRESSES": "::1:80"}, "brackets"),
        ({"NUM_PROCESSES": "9" * 5000}, "must be a number"),
        ({"NUM_PROCESSES": "9" * 12}, "at most"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes, message):
    environment = dict(KERAS)
    for name, value in changes.items():
        environment[f"KERAS_DISTRIBUTION_{name}"] = value
    with pytest.raises(ValueError, match=message):
        find_launch(environment)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        # Each host would train alone, and all write to one folder.
        ({"JAX_COORDINATOR_ADDRESS": "a:1"}, "JAX_NUM_PROCESSES and JAX_PROC"),
        ({"KERAS_DISTRIBUTION_JOB_ADDRESSES": "a:1"}, "NUM_PROCESSES and"),
        # torchrun's own port is the last one there is.
        (
            {
                "MASTER_ADDR": "a",
                "MASTER_PORT": "65535",
                "WORLD_SIZE": "2",
                "RANK": "0",
                "TORCHELASTIC_USE_AGENT_STORE": "True",
            },
            "port from 1 to 65535.*Received: 'a:65536'",
        ),
        # Without the job's number JAX does not find process 0.
        (
            {
                "SLURM_NTASKS": "2",
                "SLURM_PROCID": "0",
                "SLURM_STEP_NODELIST": "n[1-2]",
            },
            "where to reach process 0",
        ),
    ],
)
def test_what_is_half_set_is_refused(environment, message):
    with pytest.raises(ValueError, match=message):
        find_launch(environment)
