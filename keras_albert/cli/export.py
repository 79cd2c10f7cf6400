"""Write a model as a file for a device or server, and check it.

The file gets its name once it has run in its own runtime and computed there
what the model computes; else nothing is written, and the exit code is 1.
"""

from keras_albert.cli import common

EXAMPLE = """keras-albert export runs/intents/model --to litert \\
      -o intents.tflite --quantization auto --max-drop 0.5 \\
      --data test.csv --text-column text --label-column label"""


def add_arguments(parser):
    """Adds the verb's arguments."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="preset folder of a trained model")
    formats = ("litert", "onnx", "saved_model")
    add("--to", required=True, choices=formats, help="format")
    add("-o", "--output", required=True, metavar="PATH", help="file or folder")
    kinds = ("auto", "none", "float16", "int8", "int4")
    add("--quantization", choices=kinds, help="auto: the smallest good [none]")
    layouts = ("rolled", "unrolled")
    add("--layout", choices=layouts, help="[rolled; onnx unrolled]")
    add("--inputs", choices=("ids", "text"), help="litert [ids]")
    add("--sequence-length", type=int, metavar="N", help="[any length]")
    add("--no-verify", action="store_true", help="leave the check out")
    common.add_gate(parser)
    common.add_folders(parser)


def run(args):
    """Exports, and prints the report, path and size."""
    from keras_albert import export

    if args.no_verify:
        common.check_nothing_to_verify(args)
        export.gate.check_output(args.output, args.to)
        model = report = None
        export.gate.WRITERS[args.to](args.model, args.output, **_options(args))
    else:
        model = common.model_for_folders(args)
        try:
            report = export.export_model(
                args.model,
                args.output,
                to=args.to,
                **_options(args),
                **common.gate_options(args),
            )
        except export.VerificationError as error:
            return common.print_failure(error)
        print(report)
    print(f"{args.output}\t{common.size_of(args.output)} bytes")
    common.write_folders(args, model, report)


def _options(args):
    options = {
        "quantization": args.quantization,
        "layout": args.layout,
        "sequence_length": args.sequence_length,
        "inputs": args.inputs,
    }
    options = {n: x for n, x in options.items() if x not in (None, "none")}
    taken = {
        "saved_model": (),
        "onnx": ("quantization", "layout", "sequence_length"),
    }
    taken = taken.get(args.to, options)
    wrong = ["--" + n.replace("_", "-") for n in options if n not in taken]
    if wrong:
        raise ValueError(
            f"--to {args.to} does not take {', '.join(wrong)}; leave it out."
        )
    return options
