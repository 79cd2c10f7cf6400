r"""Memory of a pretraining step on JAX, with and without rematerialization.

    KERAS_BACKEND=jax python benchmarks/pretraining_memory.py

Of a step of `keras-albert pretrain`: what is kept for the gradient, as JAX
traces it on any device; and XLA's plan of the compiled step on this one,
arguments and all that is in between. Nothing is trained, so the figures do
not vary.

On CPUs, XLA takes the barriers away that keep it from computing what is
computed again only once, and with them the saving. The plan with barriers, as
XLA leaves them in on GPUs and TPUs:

    XLA_FLAGS=--xla_disable_hlo_passes=cse_barrier_expander \
        KERAS_BACKEND=jax python benchmarks/pretraining_memory.py
"""

import argparse
import json

import jax
import numpy as np

import keras_albert as ka
from keras_albert.pretraining.optimization import make_optimizer


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden-dim", type=int, default=768)
    parser.add_argument("--num-layers", type=int, default=12)
    parser.add_argument("--num-heads", type=int, default=12)
    parser.add_argument("--intermediate-dim", type=int, default=3072)
    parser.add_argument("--vocabulary-size", type=int, default=30_000)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--sequence-length", type=int, default=128)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--dtype", default="float32")
    args = parser.parse_args()
    for rematerialize in (False, True):
        print(json.dumps(memory(args, rematerialize)), flush=True)


def memory(args, rematerialize):
    """Megabytes of one step."""
    backbone = ka.AlbertBackbone(
        vocabulary_size=args.vocabulary_size,
        num_layers=args.num_layers,
        num_heads=args.num_heads,
        embedding_dim=128,
        hidden_dim=args.hidden_dim,
        intermediate_dim=args.intermediate_dim,
        dropout=args.dropout,
        attention_dropout=args.dropout,
        dtype=args.dtype,
    )
    for group in backbone.transformer_layers:
        for layer in group:
            layer.rematerialize = rematerialize
    model = ka.AlbertPretrainer(backbone, compile=False)
    settings = {"optimizer": "lamb", "accumulate": 1, "dtype": args.dtype}
    model.compile(make_optimizer(settings, 1e-3))
    model.optimizer.build(model.trainable_variables)
    data = batch(args.batch_size, args.sequence_length)
    # Makes the variables of the metrics, without a compilation of a step.
    model._symbolic_build(data_batch=data)
    state = tuple(
        [variable.value for variable in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    )
    trainable, others, optimizer, metrics = state

    def keeps(trainable):
        def loss(trainable):
            return model.compute_loss_and_updates(
                trainable,
                others,
                metrics,
                *data,
                training=True,
                optimizer_variables=optimizer,
            )[0]

        return jax.vjp(loss, trainable)[1]

    kept = jax.tree.leaves(jax.eval_shape(keeps, trainable))
    step = jax.jit(model.train_step, donate_argnums=0)
    plan = step.lower(state, data).compile().memory_analysis()
    return {
        "rematerialize": rematerialize,
        "kept_for_gradient_mb": round(
            sum(x.size * x.dtype.itemsize for x in kept) / 1e6, 1
        ),
        "weights_and_batch_mb": round(plan.argument_size_in_bytes / 1e6, 1),
        "step_mb": round(plan.temp_size_in_bytes / 1e6, 1),
    }


def batch(rows, length):
    """Zeros, in the shapes of a batch."""
    masks = round(0.15 * length)
    tokens = np.zeros((rows, length), "int32")
    inputs = {
        "token_ids": tokens,
        "segment_ids": tokens,
        "padding_mask": tokens,
        "mask_positions": np.zeros((rows, masks), "int32"),
    }
    targets = {
        "mlm": np.zeros((rows, masks), "int32"),
        "sop": np.zeros((rows,), "int32"),
    }
    weights = {
        "mlm": np.ones((rows, masks), "float32"),
        "sop": np.ones((rows,), "float32"),
    }
    return inputs, targets, weights


if __name__ == "__main__":
    main()
