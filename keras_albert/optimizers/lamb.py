"""LAMB as ALBERT was pretrained with."""

import keras
from keras import ops

# As the original: of LayerNorm and biases neither decays nor adapts.
NOT_ADAPTED = ("bias", "gamma", "beta")


@keras.saving.register_keras_serializable(package="keras_albert")
class AlbertLAMB(keras.optimizers.Optimizer):
    """LAMB (You et al. 2019, https://arxiv.org/abs/1904.00962) of ALBERT.

    Source: google-research/albert `lamb_optimizer.py`. Unlike
    `keras.optimizers.Lamb` it corrects no bias of the moments, decays weights
    inside the trust ratio, and leaves biases and layer normalizations out of
    decay and of layer adaptation:

    ```
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g ** 2
    update = m / (sqrt(v) + epsilon) + weight_decay_rate * w
    w -= learning_rate * norm(w) / norm(update) * update
    ```

    Args:
        learning_rate: float or `keras.optimizers.schedules.
            LearningRateSchedule`.
        weight_decay_rate: float.
        beta_1: float, decay of the first moment.
        beta_2: float, decay of the second moment.
        epsilon: float, added to the root of the second moment.
        exclude: tuple of strings. Variables with one of them in their name
            neither decay nor adapt.
        global_clipnorm: float or `None`, the largest norm of all gradients
            together; they are scaled down to it.
        name: string.
        **kwargs: See `keras.optimizers.Optimizer`.
    """

    def __init__(
        self,
        learning_rate=0.00176,
        weight_decay_rate=0.01,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-6,
        exclude=NOT_ADAPTED,
        global_clipnorm=1.0,
        name="albert_lamb",
        **kwargs,
    ):
        super().__init__(
            learning_rate=learning_rate,
            global_clipnorm=global_clipnorm,
            name=name,
            **kwargs,
        )
        self.weight_decay_rate = weight_decay_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.exclude = tuple(exclude)

    def build(self, variables):
        """Makes the two moments of each variable.

        Args:
            variables: list of the model's trainable variables.
        """
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )

    def update_step(self, gradient, variable, learning_rate):
        """Updates a variable.

        Args:
            gradient: tensor of the variable's shape.
            variable: a `keras.Variable`.
            learning_rate: scalar tensor.
        """
        gradient = ops.cast(gradient, variable.dtype)
        rate = ops.cast(learning_rate, variable.dtype)
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index], self._velocities[index]
        self.assign(
            momentum, self.beta_1 * momentum + (1.0 - self.beta_1) * gradient
        )
        self.assign(
            velocity,
            self.beta_2 * velocity + (1.0 - self.beta_2) * ops.square(gradient),
        )
        update = momentum / (ops.sqrt(velocity) + self.epsilon)
        if not any(part in variable.name for part in self.exclude):
            update = update + self.weight_decay_rate * variable
            rate = rate * _trust_ratio(variable, update)
        self.assign_sub(variable, rate * update)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "weight_decay_rate": self.weight_decay_rate,
                "beta_1": self.beta_1,
                "beta_2": self.beta_2,
                "epsilon": self.epsilon,
                "exclude": list(self.exclude),
            }
        )
        # What decays here decays inside of the trust ratio.
        del config["weight_decay"]
        return config


def _trust_ratio(variable, update):
    """norm(variable) / norm(update), 1 where one of them is 0."""
    weight_norm = ops.sqrt(ops.sum(ops.square(variable)))
    update_norm = ops.sqrt(ops.sum(ops.square(update)))
    both = ops.logical_and(weight_norm > 0, update_norm > 0)
    return ops.where(both, weight_norm / ops.where(both, update_norm, 1.0), 1.0)
