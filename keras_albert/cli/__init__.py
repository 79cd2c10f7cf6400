"""The command line `keras-albert`: one module a verb, loaded when used."""

import argparse
import importlib
import os
import sys
import traceback

from keras_albert.cli.environment import (
    check_backend,
    drop_results,
    flush_results,
    print_any_text,
)

VERBS = {
    "quickstart": "fine-tune, export and compare on the sample data",
    "train": "fine-tune a model on labelled texts",
    "evaluate": "score a model on labelled texts",
    "predict": "label texts with a model",
    "glue": "fine-tune and score a model on GLUE's tasks",
    "export": "write a model as a file for a device or server",
    "verify": "compare an exported file with its model",
    "convert": "bring a checkpoint from or to another library",
    "train-vocab": "make a vocabulary from text",
    "prepare-pretraining": "tokenize text to pretrain on",
    "pretrain": "pretrain a model on prepared data",
    "inspect": "look for what is wrong with labelled data",
    "info": "tell what is in a model or an exported file",
}
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command in one line."""

    def error(self, message):
        print(f"{self.prog}: error: {message}; see --help.", file=sys.stderr)
        raise SystemExit(2)


def main(argv=None):
    """Runs a command.

    Args:
        argv: list of strings, the command line's by default.

    Returns:
        int, the exit code: 0; 2 on bad input, with one line on stderr; 1
        when an exported file fails `verify`, or splits of data share rows;
        130 when interrupted.
    """
    _quiet_libraries()
    print_any_text()
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _run(argv)
        flush_results()
        return code
    except SystemExit as stop:
        return stop.code or 0
    except KeyboardInterrupt:
        hint = ""
        if argv[:1] in (["train"], ["pretrain"]):
            hint = " Add --resume to the same command to continue."
        elif argv[:1] == ["glue"]:
            hint = " The same command continues."
        print(f"keras-albert: interrupted.{hint}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of stdout has gone, as `head` does.
        drop_results()
        return 1
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        if not _is_expected(error):
            raise
        message = " ".join(str(error).split())
        print(f"keras-albert: error: {message}", file=sys.stderr)
        return 2


def _run(argv):
    if argv[:1] == ["--version"]:
        from keras_albert.version import __version__

        print(f"keras-albert {__version__}")
        return 0
    parser = _Parser(
        prog="keras-albert",
        description="ALBERT from raw text to phone.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="verbs:\n"
        + "\n".join(f"  {verb:<20}{text}" for verb, text in VERBS.items())
        + "\n\nEach verb has --help with an example.",
    )
    parser.add_argument("--version", action="store_true", help="print it")
    parser.add_argument("verb", choices=VERBS, metavar="VERB", help="see below")
    verb = parser.parse_args(argv[:1]).verb
    module = importlib.import_module(
        f"keras_albert.cli.{verb.replace('-', '_')}"
    )
    parser = _Parser(
        prog=f"keras-albert {verb}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"example:\n  {module.EXAMPLE}",
    )
    module.add_arguments(parser)
    args = parser.parse_args(argv[1:])
    if getattr(module, "USES_TENSORFLOW", True):
        check_backend()
        _import_tensorflow()
    return module.run(args) or 0


def _import_tensorflow():
    """Imports TensorFlow without what its C++ side tells on stderr.

    Some of it comes before any setting is read. Errors are exceptions, and
    are not lost.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)
    try:
        import tensorflow as tf
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(silent)
    # It warns of each new length of a batch; these are few by design.
    tf.get_logger().setLevel("ERROR")


def _quiet_libraries():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    # Torch's threads otherwise spin while they wait, and keep those of the
    # data pipeline off the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _is_expected(error):
    """Whether an error is about the user's input, not a fault in the code.

    Errors of the system are; others when this package's own checks raised
    them.
    """
    if isinstance(error, OSError):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    return frames[-1].filename.startswith(_PACKAGE + os.sep)
