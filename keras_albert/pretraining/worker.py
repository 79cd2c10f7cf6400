"""A worker process of the pipeline on this machine: it ends with its run.

Apache Beam's own worker waits for long when the process that started it was
killed, and for ever when that process was interrupted. Run as `python -m
keras_albert.pretraining.worker PARENT FOLDER`, with the process id of the
parent and the folder that is there as long as the run goes on.
"""

import os
import signal
import sys
import threading
import time

_SECONDS_BETWEEN_LOOKS = 0.5


def _end_with(parent: int, folder: str) -> None:
    while os.getppid() == parent and os.path.isdir(folder):
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(0)


def main() -> None:
    """Runs Apache Beam's worker until it or the run ends."""
    # Control-C goes to the parent too, and that tells what there is to tell.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent, folder = int(sys.argv[1]), sys.argv[2]
    del sys.argv[1:]
    threading.Thread(
        target=_end_with, args=[parent, folder], daemon=True
    ).start()
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
