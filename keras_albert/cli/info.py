"""Tell what is in a model or an exported file."""

import json
import os

EXAMPLE = "keras-albert info albert_tiny_en"


def add_arguments(parser):
    """Adds the verb's arguments."""
    add = parser.add_argument
    add("model", metavar="MODEL-OR-ARTIFACT", help="preset, or .tflite file")
    add("--json", action="store_true", help="print JSON")


def run(args):
    """Prints a fact a line, or JSON."""
    if os.path.isfile(args.model):
        facts = _of_artifact(args.model)
    else:
        facts = _of_preset(args.model)
    if args.json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {item}" for key, item in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        print(f"{name:<16}{value}")


def _of_preset(preset):
    from keras_albert.presets import loading
    from keras_albert.presets.registry import local_preset_folder
    from keras_albert.tasks.loading import load_preset

    folder = local_preset_folder(preset)
    model = load_preset(folder)
    backbone = getattr(model, "backbone", model)
    config = backbone.get_config()
    facts = {
        "class": type(model).__name__,
        "parameters": model.count_params(),
        "sizes": {
            name: value
            for name, value in config.items()
            if type(value) is int and name != "trainable"
        },
        "dropout": config["dropout"],
        "learning rate": backbone.learning_rate,
    }
    if hasattr(model, "num_classes"):
        facts["classes"] = model.num_classes
        facts["labels"] = model.labels
    if loading.holds_tokenizer(folder):
        from keras_albert.preprocessing.tokenizer import AlbertTokenizer

        tokenizer = AlbertTokenizer.from_preset(folder)
        facts["vocabulary"] = {
            "pieces": tokenizer.vocabulary_size(),
            "lower case": tokenizer.lowercase,
        }
    facts["weights"] = "stored in the preset"
    if not loading.is_pretrained(folder):
        metadata = loading.read_preset_json(folder, loading.METADATA_FILE)
        seed = metadata["seed"]
        facts["weights"] = f"not pretrained: drawn from seed {seed}"
    return facts


def _of_artifact(path):
    from keras_albert.export.verify import artifact_format

    if artifact_format(path) != "litert":
        raise NotImplementedError(
            "`info` must be given a preset folder or a .tflite file. "
            f"Received: {path}; `verify` tells of other formats."
        )
    from keras_albert.export.inspection import describe_litert

    return describe_litert(path)
