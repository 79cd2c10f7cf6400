"""Fine-tune the default model on the sample data, export it, and compare."""

import json
import os

EXAMPLE = "keras-albert quickstart -o runs/quickstart"
_ROW = "{:<14}{:>8}{:>10}{:>9}{:>9}"


def add_arguments(parser):
    """Adds the verb's arguments."""
    add = parser.add_argument
    data = os.path.join("examples", "data")
    add("--data", default=data, metavar="DIR", help=f"sample data [{data}]")
    out = os.path.join("runs", "quickstart")
    add("-o", "--output", default=out, metavar="DIR", help=f"[{out}]")


def run(args):
    """Prints the comparison and writes `report.json`."""
    import keras

    from keras_albert.export.comparison import export_all
    from keras_albert.presets.saving import whole_file
    from keras_albert.training.run_folder import RunFolder
    from keras_albert.training.sample import train_on_sample

    folder = RunFolder(os.path.join(args.output, "training"))
    with folder.locked():
        folder.clear()
    texts, report = train_on_sample(args.data, folder.path)
    model = folder.file("model")
    report = {"backend": keras.backend.backend(), **report, "artifacts": []}
    print(_ROW.format("artifact", "MB", "max |Δ|", "labels", "ms"))
    for artifact in export_all(model, args.output, texts):
        report["artifacts"].append(artifact)
        megabytes = f"{artifact['bytes'] / 1e6:.2f}"
        difference = f"{artifact['max_abs_diff']:.1e}"
        agreement = f"{100 * artifact['label_agreement']:.1f} %"
        latency = f"{artifact['latency_ms']:.1f}"
        name = artifact["format"]
        print(_ROW.format(name, megabytes, difference, agreement, latency))
    path = os.path.join(args.output, "report.json")
    with whole_file(path) as partial, open(partial, "w") as file:
        json.dump(report, file, indent=1)
    print(
        f"accuracy {report['test_accuracy']:.3f} on {len(texts)} test texts "
        f"(the commonest label: {report['majority_accuracy']:.3f})\n{path}"
    )
