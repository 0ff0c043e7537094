"""A Keras optimizer that contains the optimizers of the generator and the discriminator (the two players).

A Keras model has one attribute `optimizer`. The tools of Keras (callbacks, saving, loss scaling) use only
this attribute. So one `TwoPlayerOptimizer` contains both optimizers of a GAN, and passes each variable to the
optimizer of its player. The interface is the same as in `MultiOptimizer` of Keras: callbacks loop over
`optimizers`, set each learning rate, and log each learning rate under the name of its optimizer.
"""

import keras

from .distribution import all_replicas


def recommended_optimizer(learning_rate=2e-3, beta_2: float = 0.99) -> keras.optimizers.Optimizer:
    """Creates Adam with the betas of the recipes in `gan.recipes`.

    beta1 is 0.5, as in DCGAN. beta2 is 0.99, so that Adam adapts quickly to growing gradients. With the
    default beta2 of 0.999 the discriminator sometimes fails at the learning rate 2e-3.

    Args:
        learning_rate: a number or a Keras schedule.
        beta_2: decay rate of Adam's second moment.
    """
    return keras.optimizers.Adam(learning_rate, beta_1=0.5, beta_2=beta_2)


def resolve_players(generator_optimizer, discriminator_optimizer, optimizer=None) -> tuple:
    """Creates the optimizers of the two players from the arguments of `GAN.compile`.

    Raises:
        ValueError: when the arguments contain both `optimizer` and an optimizer of one player.
    """
    if optimizer is not None:
        if generator_optimizer is not None or discriminator_optimizer is not None:
            raise ValueError(
                "Pass either `optimizer` for both players or an optimizer for each player, not both."
            )
        generator_optimizer = optimizer
    if generator_optimizer is None:
        generator_optimizer = recommended_optimizer()
    generator_optimizer = keras.optimizers.get(generator_optimizer)
    if discriminator_optimizer is None:
        config = generator_optimizer.get_config()
        return generator_optimizer.from_config(config), generator_optimizer.from_config(config)
    return generator_optimizer, keras.optimizers.get(discriminator_optimizer)


@keras.saving.register_keras_serializable(package="gan")
class TwoPlayerOptimizer(keras.optimizers.Optimizer):
    """Passes the gradient of each variable to the generator's or the discriminator's optimizer.

    The constructor renames the two optimizers to "generator" and "discriminator". Callbacks log the learning
    rates under these names. `iterations` counts the discriminator's updates, without the updates that loss
    scaling skips.

    Args:
        generator_optimizer: optimizer of the generator. Do not share the optimizer with another model.
        discriminator_optimizer: optimizer of the discriminator.
        name: name of the TwoPlayerOptimizer.

    Raises:
        ValueError: when both optimizers are the same object, or when an optimizer scales the loss.

    Example:

    ```python
    optimizer = TwoPlayerOptimizer(keras.optimizers.Adam(1e-4), keras.optimizers.Adam(4e-4))
    optimizer.build_players(generator.trainable_variables, discriminator.trainable_variables)
    [player.name for player in optimizer.optimizers]       # ["generator", "discriminator"]
    optimizer.learning_rate = 5e-5                         # also sets the discriminator's rate, to 2e-4
    ```
    """

    def __init__(
        self,
        generator_optimizer: keras.optimizers.Optimizer,
        discriminator_optimizer: keras.optimizers.Optimizer,
        name: str = "two_player_optimizer",
    ):
        if generator_optimizer is discriminator_optimizer:
            expected = "The optimizers must be two objects; with `optimizer=` each player gets a copy of one"
            raise ValueError(f"{expected}. Received twice: {generator_optimizer!r}")
        for player in (generator_optimizer, discriminator_optimizer):
            is_wrapper = isinstance(player, keras.optimizers.LossScaleOptimizer)
            if is_wrapper or player.loss_scale_factor is not None:
                scaled = f"{type(player).__name__}, loss_scale_factor={player.loss_scale_factor}"
                expected = (
                    "A player's optimizer must not scale the loss: Keras scales the loss under mixed_float16"
                )
                raise ValueError(f"{expected}. Received: {scaled}")
        # With a callable the base class does not create a variable for the learning rate.
        super().__init__(learning_rate=lambda: generator_optimizer.learning_rate, name=name)
        generator_optimizer.name, discriminator_optimizer.name = "generator", "discriminator"
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer
        self._rate_ratio = self._measure_rate_ratio()
        self._generator_keys = frozenset()

    def build_players(self, generator_variables: list, discriminator_variables: list) -> None:
        """Builds both optimizers and records which variables belong to which player."""
        for player, variables in zip(
            self.optimizers, (generator_variables, discriminator_variables), strict=True
        ):
            if not player.built:
                player.build(variables)
        self._generator_keys = frozenset(map(self._var_key, generator_variables))
        super().build([*generator_variables, *discriminator_variables])

    def build(self, variables: list) -> None:
        if not self.built:
            call = "`build_players(generator_variables, discriminator_variables)`"
            raise ValueError(
                f"A TwoPlayerOptimizer must know the variables of each player: call {call} instead."
            )

    @property
    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        """The generator's optimizer and the discriminator's optimizer, in this order."""
        return [self.generator_optimizer, self.discriminator_optimizer]

    @property
    def variables(self) -> list:
        """The iteration count, and all variables of both players' optimizers."""
        return self._variables + [v for player in self.optimizers for v in player.variables]

    @property
    def learning_rate(self):
        """The learning rate of the generator.

        If you change this learning rate, the discriminator's learning rate changes too: the ratio of
        both rates stays the same as at the start.

        Raises:
            TypeError: when you set the learning rate and a player has a schedule, or the new value is a
                schedule. Then neither learning rate changes.
        """
        if self._rate_ratio is None:
            return self.generator_optimizer.learning_rate
        return _PlayersRate(self)

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        if self._rate_ratio is None or callable(learning_rate):
            raise TypeError(
                "The learning rate is not settable if the old or the new value is a schedule: create both "
                "optimizers with a float `learning_rate` and set a number, or create both with a schedule. "
                f"Received: {learning_rate!r}"
            )
        self._set_rates(learning_rate)

    def _set_rates(self, learning_rate) -> None:
        self.generator_optimizer.learning_rate = learning_rate
        self.discriminator_optimizer.learning_rate = learning_rate * self._rate_ratio

    def _measure_rate_ratio(self) -> float | None:
        """Returns the discriminator's rate / the generator's rate, or None if a rate is a schedule."""
        if not all(isinstance(player._learning_rate, keras.Variable) for player in self.optimizers):
            return None
        rate, other_rate = (float(player.learning_rate.numpy()) for player in self.optimizers)
        return other_rate / rate if rate else 1.0

    def apply(self, grads, trainable_variables=None) -> None:
        """Updates the variables of one or both players. Each player's optimizer updates its own variables."""
        if trainable_variables is None:
            trainable_variables = self._trainable_variables
        gradients = dict(zip(map(self._var_key, trainable_variables), grads, strict=True))
        for player, variables in self._split(trainable_variables):
            if variables:
                player.apply([gradients[self._var_key(v)] for v in variables], variables)
                if player is self.discriminator_optimizer:
                    self._iterations.assign_add(1)

    def finalize_variable_values(self, var_list) -> None:
        for player, variables in self._split(var_list):
            player.finalize_variable_values(variables)

    def _split(self, variables) -> list[tuple]:
        """Returns each player's optimizer with the variables of this player."""
        generators = [v for v in variables if self._var_key(v) in self._generator_keys]
        others = [v for v in variables if self._var_key(v) not in self._generator_keys]
        return [(self.generator_optimizer, generators), (self.discriminator_optimizer, others)]

    def save_own_variables(self, store) -> None:
        # Keras saves the two optimizers as separate objects. Do not save their variables a second time.
        store["iterations"] = self._iterations.numpy()

    def load_own_variables(self, store) -> None:
        self._iterations.assign(store["iterations"])

    def get_config(self) -> dict:
        return {
            "generator_optimizer": keras.saving.serialize_keras_object(self.generator_optimizer),
            "discriminator_optimizer": keras.saving.serialize_keras_object(self.discriminator_optimizer),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects=None) -> "TwoPlayerOptimizer":
        players = {
            key: keras.saving.deserialize_keras_object(config[key], custom_objects)
            for key in ("generator_optimizer", "discriminator_optimizer")
        }
        return cls(**players, name=config["name"])


class _PlayersRate(keras.Variable):
    """Acts as the generator's learning rate variable. `assign` sets the learning rates of both players."""

    def __init__(self, optimizer: TwoPlayerOptimizer):
        vars(self).update(vars(optimizer.generator_optimizer.learning_rate))  # both objects share one value
        self.set_rates = optimizer._set_rates

    def assign(self, value):
        self.set_rates(value)
        return self.value


@keras.saving.register_keras_serializable(package="gan")
class ScaledTwoPlayerOptimizer(keras.optimizers.LossScaleOptimizer):
    """Adds the loss scaling of Keras to a `TwoPlayerOptimizer`, for training in float16.

    Keras would use a plain `LossScaleOptimizer`. Then callbacks would find only one optimizer. This class has
    the property `optimizers`, so callbacks find both optimizers.
    """

    @property
    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        """The generator's optimizer and the discriminator's optimizer, in this order."""
        return self.inner_optimizer.optimizers

    def check_finite(self, grads):
        """Returns whether the gradients of all replicas are finite. Keras looks only at one replica."""
        return all_replicas(super().check_finite(grads))
