"""Rewrites of ONNX graphs that the converter leaves to its user."""

_SUBGRAPH = 5  # onnx.AttributeProto.GRAPH


def name_dimensions(graph):
    """Gives the open dimensions of inputs and outputs names for people.

    Args:
        graph: an `onnx.GraphProto`, changed in place.
    """
    inputs = {value.name for value in graph.input}
    for value in (*graph.input, *graph.output):
        # What is predicted at positions has as many rows as there are these.
        of_masks = value.name in ("mask_positions", "mlm") or (
            value.name == "logits" and "mask_positions" in inputs
        )
        names = ("batch", "masks" if of_masks else "sequence")
        dimensions = value.type.tensor_type.shape.dim
        for dimension, name in zip(dimensions, names, strict=False):
            if not dimension.dim_value:
                dimension.dim_param = name
    # Shapes in between still speak of the old names.
    del graph.value_info[:]


def capture_loop_invariants(graph):
    """Lets the bodies of loops read weights from the graph around them.

    The converter hands a loop its weights as state that each iteration passes
    on unchanged. Runtimes then neither pack nor quantize them.

    Args:
        graph: an `onnx.GraphProto`, changed in place.
    """
    for node in graph.node:
        if node.op_type == "Loop":
            _capture(graph, node)


def subgraphs(node):
    """The graphs in a node's attributes, such as the body of a loop."""
    return [a.g for a in node.attribute if a.type == _SUBGRAPH]


def _capture(graph, loop):
    (body,) = subgraphs(loop)
    made_by = {name: node for node in body.node for name in node.output}

    def origin(name):
        while name in made_by and made_by[name].op_type == "Identity":
            name = made_by[name].input[0]
        return name

    # Inputs of the body: iteration, condition, state. Its outputs lack the
    # iteration, those of the loop the condition too.
    captured = {}
    for index in reversed(range(len(loop.input) - 2)):
        state = body.input[index + 2].name
        if origin(body.output[index + 1].name) != state:
            continue
        outer = loop.input[index + 2]
        captured[state] = outer
        _rename_inputs(graph, {loop.output[index]: outer})
        del loop.input[index + 2], loop.output[index]
        del body.input[index + 2], body.output[index + 1]
    unused = {output.name for output in body.output}
    _rename_inputs(body, captured)
    used = unused | {name for node in body.node for name in node.input}
    for node in [n for n in body.node if n.op_type == "Identity"]:
        if node.output[0] not in used:
            body.node.remove(node)


def _rename_inputs(graph, names):
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = names.get(name, name)
        for inner in subgraphs(node):
            _rename_inputs(inner, names)
