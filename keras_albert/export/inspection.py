"""What is in an exported file, read without running it."""

import collections
import hashlib
import os
import struct
import zipfile

import numpy as np

# Smaller matrices are no weights worth a second look.
_SMALLEST = 256  # bytes
_FROM_THE_SMALLEST = ("int4", "int8", "float16", "float32")


def describe_litert(path):
    """Reads a LiteRT file's inputs, outputs and operators.

    Args:
        path: string or path of a `.tflite` file.

    Returns:
        dictionary of `"format"`, `"bytes"`, `"inputs"` and `"outputs"` (name
        to type and shape, -1 where any size goes), `"operators"` (name to
        how often, in all subgraphs), `"subgraphs"`, `"weights"`, the
        smallest type that they are stored in, and `"files"`, the names of
        what MediaPipe finds in it. A file of several signatures has
        `"inputs"` and `"outputs"` named `SIGNATURE:NAME`.

    Raises:
        ImportError: if `ai-edge-litert` is not installed.
        ValueError: if it is no LiteRT file.
    """
    try:
        facts = _litert_facts(path)
    except (struct.error, IndexError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"A LiteRT file must be whole. {path} is damaged; export it anew."
        ) from error
    if not facts["subgraphs"]:
        raise ValueError(f"A LiteRT file must hold a model. {path} is empty.")
    return facts


def _litert_facts(path):
    model = _litert_model(path)
    operators = _litert_operators(model)
    return {
        "format": "litert",
        "bytes": os.path.getsize(path),
        "inputs": _litert_shapes(model, "Inputs"),
        "outputs": _litert_shapes(model, "Outputs"),
        "weights": weights_of(path, "litert")["quantization"],
        "subgraphs": model.SubgraphsLength(),
        "operators": dict(operators.most_common()),
        "files": _appended_files(path),
    }


def _appended_files(path):
    if not zipfile.is_zipfile(path):
        return []
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def weights_of(path, format_):
    """The matrices that are stored in an exported file.

    Args:
        path: string, the file or the folder of a SavedModel.
        format_: string, `"litert"`, `"onnx"` or `"saved_model"`.

    Returns:
        dictionary of `"quantization"`, the smallest type among them;
        `"bytes"` of all; and `"repeated_bytes"` of those whose content was
        there before, also when transposed.
    """
    read = {
        "litert": _litert_weights,
        "onnx": _onnx_weights,
        "saved_model": _saved_model_weights,
    }[format_]
    types, total, repeated, seen = set(), 0, 0, set()
    for type_, content in read(path):
        if content.nbytes < _SMALLEST:
            continue
        types.add(type_)
        total += content.nbytes
        # Constants, as fresh scales are, are no copies of each other.
        if content.min() == content.max():
            continue
        # In order of size, so that a transposed copy is one too.
        digest = hashlib.sha256(np.sort(content, axis=None).tobytes()).digest()
        if digest in seen:
            repeated += content.nbytes
        seen.add(digest)
    return {
        "quantization": next(
            (name for name in _FROM_THE_SMALLEST if name in types), "float32"
        ),
        "bytes": total,
        "repeated_bytes": repeated,
    }


def custom_operators(path, format_):
    """The operators of a LiteRT file that stock runtimes lack, sorted."""
    if format_ != "litert":
        return []
    model = _litert_model(path)
    return sorted(
        model.OperatorCodes(index).CustomCode().decode()
        for index in range(model.OperatorCodesLength())
        if model.OperatorCodes(index).CustomCode()
    )


# === LiteRT ===


def _schema():
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as error:
        raise ImportError(
            "LiteRT files are read by `ai-edge-litert`, which is not "
            "installed. Install it: `pip install keras-albert[export]`."
        ) from error
    return schema_py_generated


def _litert_model(path):
    with open(path, "rb") as file:
        content = file.read()
    if content[4:8] != b"TFL3":
        raise ValueError(
            f"A LiteRT file must have the identifier TFL3. {path} has none; "
            "it was cut off, or is something else."
        )
    return _schema().Model.GetRootAs(content)


def _names(enumeration):
    return {
        value: name
        for name, value in vars(enumeration).items()
        if isinstance(value, int)
    }


def _litert_operators(model):
    names = _names(_schema().BuiltinOperator)
    operators = collections.Counter()
    for index in range(model.SubgraphsLength()):
        subgraph = model.Subgraphs(index)
        for place in range(subgraph.OperatorsLength()):
            code = model.OperatorCodes(subgraph.Operators(place).OpcodeIndex())
            builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
            custom = code.CustomCode()
            operators[custom.decode() if custom else names[builtin]] += 1
    return operators


def _litert_shapes(model, kind):
    types = _names(_schema().TensorType)
    several = model.SignatureDefsLength() > 1
    shapes = {}
    for place in range(model.SignatureDefsLength()):
        signature = model.SignatureDefs(place)
        subgraph = model.Subgraphs(signature.SubgraphIndex())
        for index in range(getattr(signature, f"{kind}Length")()):
            entry = getattr(signature, kind)(index)
            tensor = subgraph.Tensors(entry.TensorIndex())
            sizes = (
                tensor.ShapeSignatureAsNumpy()
                if tensor.ShapeSignatureLength()
                else tensor.ShapeAsNumpy()
            )
            name = entry.Name().decode()
            if several:
                name = f"{signature.SignatureKey().decode()}:{name}"
            sizes = [int(n) for n in np.atleast_1d(sizes)]
            shapes[name] = f"{types[tensor.Type()].lower()} {sizes}"
    return shapes


def _litert_weights(path):
    model = _litert_model(path)
    types = _names(_schema().TensorType)
    seen = set()
    for index in range(model.SubgraphsLength()):
        subgraph = model.Subgraphs(index)
        for place in range(subgraph.TensorsLength()):
            tensor = subgraph.Tensors(place)
            buffer = model.Buffers(tensor.Buffer())
            if tensor.Buffer() in seen or not buffer.DataLength():
                continue
            seen.add(tensor.Buffer())
            if not _is_matrix(tensor.ShapeAsNumpy()):
                continue
            type_ = types[tensor.Type()].lower()
            content = buffer.DataAsNumpy()
            if type_ in ("float32", "float16"):
                content = content.view(type_)
            yield type_, content


def _is_matrix(shape):
    return sum(int(n) > 1 for n in np.atleast_1d(shape)) >= 2


# === ONNX ===


def _onnx_weights(path):
    import onnx

    def of_graph(graph):
        yield from graph.initializer
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.TENSOR:
                    yield attribute.t
                elif attribute.type == onnx.AttributeProto.GRAPH:
                    yield from of_graph(attribute.g)

    for tensor in of_graph(onnx.load(path).graph):
        if _is_matrix(tensor.dims):
            content = onnx.numpy_helper.to_array(tensor)
            yield content.dtype.name.replace("uint", "int"), content


# === SavedModel ===


def _saved_model_weights(path):
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    reader = tf.train.load_checkpoint(
        os.path.join(path, "variables", "variables")
    )
    for name, shape in reader.get_variable_to_shape_map().items():
        if _is_matrix(shape):
            content = reader.get_tensor(name)
            yield content.dtype.name, content
    saved = saved_model_pb2.SavedModel()
    with open(os.path.join(path, "saved_model.pb"), "rb") as file:
        saved.ParseFromString(file.read())
    graph = saved.meta_graphs[0].graph_def
    functions = [graph.node, *(f.node_def for f in graph.library.function)]
    for node in (node for nodes in functions for node in nodes):
        if node.op == "Const" and "value" in node.attr:
            tensor = node.attr["value"].tensor
            shape = [size.size for size in tensor.tensor_shape.dim]
            if _is_matrix(shape) and tensor.dtype != tf.string.as_datatype_enum:
                content = tf.make_ndarray(tensor)
                yield content.dtype.name, content
