"""Full precision on the OpenVINO backend."""

import contextlib
import functools


class OpenVINOPrecisionMixin:
    """Compiles a model on OpenVINO in the precision of its weights.

    On processors with bfloat16 units OpenVINO computes in bfloat16 unless
    told otherwise, and Keras does not tell it: logits are then off by 1e-2.
    On other backends it does nothing.
    """

    def _get_compiled_model(self, data):
        with _compiled_in_full_precision():
            return super()._get_compiled_model(data)


@contextlib.contextmanager
def _compiled_in_full_precision():
    import openvino

    compile_model = openvino.compile_model
    openvino.compile_model = functools.partial(
        compile_model, config={"INFERENCE_PRECISION_HINT": "f32"}
    )
    try:
        yield
    finally:
        openvino.compile_model = compile_model
