"""What is in a preset."""

from keras_albert.preprocessing.tokenizer import AlbertTokenizer
from keras_albert.presets import loading
from keras_albert.presets.registry import local_preset_folder
from keras_albert.tasks.loading import load_preset


def describe_preset(preset):
    """Tells what a preset holds.

    Args:
        preset: string, anything that `from_preset` takes.

    Returns:
        dictionary of facts by name: `"class"`, `"parameters"`, `"sizes"`,
        `"dropout"`, `"learning rate"`, and where there are such,
        `"classes"`, `"labels"`, `"pooling"` and `"vocabulary"`.

    Raises:
        ValueError: if there is no such preset, or it is damaged.
    """
    folder = local_preset_folder(preset)
    model = load_preset(folder)
    backbone = getattr(model, "backbone", model)
    facts = {
        "class": type(model).__name__,
        "parameters": model.count_params(),
        "sizes": {
            name: value
            for name, value in backbone.get_config().items()
            if type(value) is int and name != "trainable"
        },
        "dropout": backbone.dropout,
        "learning rate": backbone.learning_rate,
    }
    if hasattr(model, "num_classes"):
        facts["classes"] = model.num_classes
        facts["labels"] = model.labels
    if hasattr(model, "pooling"):
        facts["pooling"] = model.pooling
    preprocessor = getattr(model, "preprocessor", None)
    tokenizer = getattr(preprocessor, "tokenizer", None)
    if tokenizer is None and loading.holds_tokenizer(folder):
        tokenizer = AlbertTokenizer.from_preset(folder)
    if tokenizer is not None:
        facts["vocabulary"] = {
            "pieces": tokenizer.vocabulary_size(),
            "lower case": tokenizer.get_config().get(
                "do_lower_case", tokenizer.lowercase
            ),
        }
    return facts
