"""Write a model as a file for a device or server."""

EXAMPLE = """keras-albert export runs/intents/model --to litert \\
      --quantization int8 -o intents.tflite"""


def add_arguments(parser):
    """Adds the verb's arguments."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="preset folder of a trained model")
    formats = ("litert", "onnx", "saved_model")
    add("--to", required=True, choices=formats, help="format")
    add("-o", "--output", required=True, metavar="PATH", help="file or folder")
    kinds = ("none", "float16", "int8")
    add("--quantization", choices=kinds, help="of the weights; litert [none]")
    layouts = ("rolled", "unrolled")
    add("--layout", choices=layouts, help="litert [rolled]")
    add("--sequence-length", type=int, metavar="N", help="litert [any length]")
    add("--bundle", metavar="DIR", help="with what a device needs beside it")
    add("--web", metavar="DIR", help="a page to try it; litert classifiers")


def run(args):
    """Exports, and prints path and size."""
    from keras_albert import export
    from keras_albert.cli.common import size_of

    options = {
        "quantization": None
        if args.quantization == "none"
        else args.quantization,
        "layout": args.layout,
        "sequence_length": args.sequence_length,
    }
    options = {name: value for name, value in options.items() if value}
    if options and args.to != "litert":
        names = ", ".join("--" + name.replace("_", "-") for name in options)
        raise NotImplementedError(
            f"{names} must come with --to litert. Received: --to {args.to}; "
            "leave it out."
        )
    write = {
        "litert": export.to_litert,
        "onnx": export.to_onnx,
        "saved_model": export.to_saved_model,
    }[args.to]
    write(args.model, args.output, **options)
    print(f"{args.output}\t{size_of(args.output)} bytes")
    if args.bundle or args.web:
        report = export.verify(args.model, args.output)
    for write, folder in (
        (export.to_bundle, args.bundle),
        (export.to_web, args.web),
    ):
        if folder:
            write(args.model, args.output, folder, report=report)
            print(f"{folder}\t{size_of(folder)} bytes")
