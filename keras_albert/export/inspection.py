"""What is in a LiteRT file."""

import collections
import os


def describe_litert(path):
    """Reads a LiteRT file's inputs, outputs and operators.

    Args:
        path: string or path of a `.tflite` file.

    Returns:
        dictionary of `"format"`, `"bytes"`, `"inputs"` and `"outputs"` (name
        to type and shape, -1 where any size goes), `"operators"` (name to
        how often, in all subgraphs) and `"subgraphs"`.

    Raises:
        ImportError: if `ai-edge-litert` is not installed.
        ValueError: if it is no LiteRT file.
    """
    try:
        from ai_edge_litert import schema_py_generated as schema
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ImportError(
            "LiteRT files are read by `ai-edge-litert`, which is not "
            "installed. Install it: `pip install keras-albert[export]`."
        ) from error
    path = os.fspath(path)
    with open(path, "rb") as file:
        content = file.read()
    if content[4:8] != b"TFL3":
        raise ValueError(
            f"A LiteRT file must have the identifier TFL3. {path} has none; "
            "it was cut off, or is something else."
        )
    interpreter = Interpreter(model_content=content)
    model = schema.Model.GetRootAs(content)
    names = {
        value: name
        for name, value in vars(schema.BuiltinOperator).items()
        if isinstance(value, int)
    }
    operators = collections.Counter()
    for index in range(model.SubgraphsLength()):
        subgraph = model.Subgraphs(index)
        for place in range(subgraph.OperatorsLength()):
            code = model.OperatorCodes(subgraph.Operators(place).OpcodeIndex())
            builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            custom = code.CustomCode()
            operators[custom.decode() if custom else names[builtin]] += 1
    runner = interpreter.get_signature_runner()
    return {
        "format": "litert",
        "bytes": len(content),
        "inputs": _shapes(runner.get_input_details()),
        "outputs": _shapes(runner.get_output_details()),
        "subgraphs": model.SubgraphsLength(),
        "operators": dict(operators.most_common()),
    }


def _shapes(details):
    return {
        name: f"{tensor['dtype'].__name__} "
        f"{[int(size) for size in tensor['shape_signature']]}"
        for name, tensor in details.items()
    }
