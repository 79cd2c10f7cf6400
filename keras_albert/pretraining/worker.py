"""A worker process of the pipeline on this machine: it ends with its parent.

Apache Beam's own worker waits for long when the process that started it was
killed. Run as `python -m keras_albert.pretraining.worker PARENT`, with the
process id of the parent.
"""

import os
import sys
import threading
import time

_SECONDS_BETWEEN_LOOKS = 0.5


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(1)


def main() -> None:
    """Runs Apache Beam's worker until it or the parent process ends."""
    parent = int(sys.argv.pop())
    threading.Thread(target=_end_with, args=[parent], daemon=True).start()
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
