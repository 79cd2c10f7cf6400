"""Running of the Beam pipeline, on this machine or elsewhere."""

import json
import logging
import os
import re
import shlex
import sys
import threading
import time
from collections.abc import Sequence
from typing import TextIO

import apache_beam as beam
import grpc
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners import PipelineRunner, create_runner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from keras_albert.pretraining.beam_pipeline import (
    REPORT_FILE,
    Plan,
    build,
    read_progress,
)

_WORKER = "keras_albert.pretraining.worker"
_LOGGER_OF_WORKERS = "apache_beam.runners.portability.local_job_service"
_LOGGER_OF_CONNECTIONS = "apache_beam.runners.worker.data_plane"
_THREAD_OF_A_WORKER = "run_worker"
_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_BETWEEN_LOOKS = 0.2


def run(
    plan: Plan,
    runner: str | None,
    workers: int | None,
    options: Sequence[str],
    text_size: int,
    stream: TextIO,
) -> dict:
    """Runs the pipeline to its end.

    Args:
        plan: What it does.
        runner: Name of a runner of Apache Beam; `None` for this machine.
        workers: Processes on this machine; `None` for one a core.
        options: More options of Apache Beam.
        text_size: Bytes of text, about.
        stream: Where progress is shown.

    Returns:
        The report of the workers.

    Raises:
        ValueError: If Apache Beam does not know the runner.
        RuntimeError: If the pipeline fails.
    """
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    # It tells of each connection that ends with a worker.
    logging.getLogger(_LOGGER_OF_CONNECTIONS).setLevel(logging.CRITICAL)
    if runner is None:
        # Not the DirectRunner: it hands pipelines to Prism, a program that it
        # downloads.
        beam_options = PipelineOptions(
            list(options), direct_num_workers=workers or _cores()
        )
        used: PipelineRunner = FnApiRunner(_processes(plan.folder))
    else:
        beam_options = PipelineOptions(list(options), runner=runner)
        try:
            used = create_runner(runner)
        except (ImportError, AttributeError, ValueError) as error:
            raise ValueError(
                "`runner` must be one that Apache Beam has, such as "
                f"FlinkRunner. Received: {runner!r}: {error}"
            ) from error
    pipeline = beam.Pipeline(runner=used, options=beam_options)
    build(pipeline, plan)
    with _Progress(plan.progress_file, text_size, stream), _workers_find_us():
        _run_to_end(pipeline)
    with FileSystems.open(FileSystems.join(plan.folder, REPORT_FILE)) as file:
        return json.loads(file.read())


def _run_to_end(pipeline: beam.Pipeline) -> None:
    """Runs a pipeline, and does not wait for workers that failed or died.

    Apache Beam would, for ever: this thread looks after its threads, and at
    what workers log.
    """
    failures: list[BaseException] = []
    deaths: list[str] = []
    errors = _WorkerErrors()
    logger = logging.getLogger(_LOGGER_OF_WORKERS)

    def run() -> None:
        try:
            pipeline.run().wait_until_finish()
        except BaseException as error:
            failures.append(error)

    def note_death(arguments) -> None:
        if arguments.thread is not None and (
            arguments.thread.name == _THREAD_OF_A_WORKER
        ):
            deaths.append(str(arguments.exc_value))
        elif not isinstance(arguments.exc_value, grpc.RpcError):
            former(arguments)
        # Else a connection that ended with a worker's process.

    former = threading.excepthook
    threading.excepthook = note_death
    thread = threading.Thread(target=run, daemon=True)
    try:
        logger.addHandler(errors)
        propagates, logger.propagate = logger.propagate, False
        thread.start()
        while thread.is_alive() and not deaths and not errors.messages:
            thread.join(_SECONDS_BETWEEN_LOOKS)
    finally:
        if not deaths:  # Else connections may still be about to end.
            threading.excepthook = former
        logger.removeHandler(errors)
        logger.propagate = propagates
    if failures:
        raise failures[0]
    if errors.messages:
        raise OSError(
            f"All workers must run to the end. One failed: {errors.messages[0]}"
        )
    if deaths:
        raise OSError(
            "All worker processes must run to the end. One was stopped "
            f"({deaths[0]}), perhaps for want of memory; run again with fewer "
            "--workers or on a larger machine."
        )


class _WorkerErrors(logging.Handler):
    """Keeps what worker processes log as errors, exceptions of theirs."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # A protocol buffer as text: of its message, escaped, the first line.
        text = record.getMessage()
        found = re.search(r'message: "((?:[^"\\]|\\[^n])*)', text)
        self.messages.append(
            re.sub(r"\\(.)", r"\1", found[1]) if found else text
        )


def _processes(folder: str) -> SubprocessSDKEnvironment:
    """What `direct_running_mode` calls `multi_processing`, less talkative."""
    # Beam gives this to a shell.
    command = [sys.executable, "-m", _WORKER, str(os.getpid()), folder]
    log = os.path.join(folder, "workers.log")
    return SubprocessSDKEnvironment.from_command_string(
        f"exec {shlex.join(command)} 2>>{shlex.quote(log)}"
    )


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # Not on Linux.
        return os.cpu_count() or 1


class _workers_find_us:  # noqa: N801
    """Worker processes import this package from where this one did."""

    def __enter__(self):
        self._former = os.environ.get("PYTHONPATH")
        root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
        paths = [os.path.abspath(root), *filter(None, [self._former])]
        os.environ["PYTHONPATH"] = os.pathsep.join(paths)

    def __exit__(self, *_):
        if self._former is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = self._former


class _Progress:
    """Shows how much text is encoded: a bar on a terminal, else lines."""

    def __init__(self, path, text_size, stream):
        self._path = path
        self._text_size = text_size
        self._stream = stream
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        if self._path is not None:
            self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        if self._path is not None:
            self._thread.join()

    def _watch(self):
        if self._stream.isatty():
            self._show_bar()
        else:
            self._show_lines()

    def _show_bar(self):
        from rich import progress
        from rich.console import Console

        bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=None),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
            console=Console(file=self._stream),
            transient=True,
        )
        with bar:
            task = bar.add_task("starting workers", total=self._text_size)
            while not self._ended.wait(_SECONDS_BETWEEN_LOOKS):
                done = read_progress(self._path)
                bar.update(
                    task,
                    completed=done,
                    total=max(done, self._text_size),
                    description="text" if done else "starting workers",
                )

    def _show_lines(self):
        began = time.monotonic()
        former = -1
        while not self._ended.wait(_SECONDS_BETWEEN_LINES):
            done = read_progress(self._path)
            if done == former:
                continue
            former = done
            print(
                f"prepared {done / 1e6:.1f} of about "
                f"{self._text_size / 1e6:.1f} MB of text, "
                f"{time.monotonic() - began:.0f} s",
                file=self._stream,
                flush=True,
            )
