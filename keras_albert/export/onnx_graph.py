"""Rewrites of ONNX graphs that the converter leaves to its user."""

import hashlib

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
    _forget_shapes_in_between(graph)


def _forget_shapes_in_between(graph):
    """They still speak of the converter's names."""
    del graph.value_info[:]
    for node in graph.node:
        for inner in subgraphs(node):
            for value in (*inner.input, *inner.output):
                for dimension in value.type.tensor_type.shape.dim:
                    dimension.ClearField("dim_param")
            _forget_shapes_in_between(inner)


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


def share_transposed(graph):
    """Stores a matrix once that the converter stored as it is and transposed.

    The output layer of a masked LM is the token table, transposed.

    Args:
        graph: an `onnx.GraphProto`, changed in place.
    """
    import onnx

    stored = {}
    for tensor in list(graph.initializer):
        if len(tensor.dims) != 2 or min(tensor.dims) < 2:
            continue
        value = onnx.numpy_helper.to_array(tensor)
        original = stored.get(_content(value.T))
        if original is None:
            stored[_content(value)] = tensor.name
            continue
        graph.initializer.remove(tensor)
        graph.node.insert(
            0,
            onnx.helper.make_node(
                "Transpose", [original], [tensor.name], perm=[1, 0]
            ),
        )


def _content(value):
    return value.shape, hashlib.sha256(value.tobytes()).digest()


def sort_nodes(graph):
    """Puts nodes behind those that they read from, loops' bodies included.

    Args:
        graph: an `onnx.GraphProto`, changed in place.
    """
    made = {name: node for node in graph.node for name in node.output}
    nodes, done = [], set()

    def place(node):
        # Stacks, since a graph is deeper than Python lets functions be.
        waiting = [node]
        while waiting:
            needed = [
                made[name]
                for name in _names_read(waiting[-1])
                if name in made and id(made[name]) not in done
            ]
            needed = [x for x in needed if x is not waiting[-1]]
            if needed:
                waiting.extend(needed)
                continue
            ready = waiting.pop()
            if id(ready) not in done:
                done.add(id(ready))
                nodes.append(ready)

    for node in graph.node:
        place(node)
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _names_read(node):
    names = list(node.input)
    for inner in subgraphs(node):
        for node_inside in inner.node:
            names += _names_read(node_inside)
        names += [output.name for output in inner.output]
    return names
