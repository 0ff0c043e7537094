"""One Keras optimizer that owns the two players' optimizers.

A Keras model has one `optimizer`, and every stock tool (callbacks, saving, loss scaling) looks there
and nowhere else. So a GAN's two optimizers live inside one, which hands each variable to its player's.
It keeps the contract of Keras's own `MultiOptimizer`: callbacks walk `optimizers`, set each rate, and
log it under the optimizer's name.
"""

import keras


def recommended_optimizer(learning_rate=2e-3, beta_2: float = 0.99) -> keras.optimizers.Optimizer:
    """Returns Adam with the betas of our recipes: see `gan.recipes`.

    beta1 is DCGAN's. beta2 is 0.99, so that Adam soon follows gradients that grow: with its default 0.999
    the discriminator sometimes fails at this learning rate.

    Args:
        learning_rate: a number, or a Keras schedule.
        beta_2: decay rate of Adam's second moment.
    """
    return keras.optimizers.Adam(learning_rate, beta_1=0.5, beta_2=beta_2)


def resolve_players(generator_optimizer, discriminator_optimizer, optimizer=None) -> tuple:
    """Returns the two players' optimizers that the arguments of `GAN.compile` stand for.

    Raises:
        ValueError: when `optimizer` for both players comes with an optimizer of one player.
    """
    if optimizer is not None:
        if generator_optimizer is not None or discriminator_optimizer is not None:
            raise ValueError("Give either `optimizer` for both players, or one to each, not both.")
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
    """Hands each variable's gradient to the generator's or the discriminator's optimizer.

    The two are renamed to "generator" and "discriminator": callbacks log their learning rates under these
    names. `iterations` counts the discriminator's updates, without those that loss scaling skips.

    Args:
        generator_optimizer: the generator's own, not shared with any other model.
        discriminator_optimizer: the discriminator's own.
        name: the name of the whole.

    Raises:
        ValueError: when one object is given for both, or one that scales the loss.

    Example:

    ```python
    optimizer = TwoPlayerOptimizer(keras.optimizers.Adam(1e-4), keras.optimizers.Adam(4e-4))
    optimizer.build_players(generator.trainable_variables, discriminator.trainable_variables)
    [player.name for player in optimizer.optimizers]       # ["generator", "discriminator"]
    optimizer.learning_rate = 5e-5                         # and the discriminator's becomes 2e-4
    ```
    """

    def __init__(
        self,
        generator_optimizer: keras.optimizers.Optimizer,
        discriminator_optimizer: keras.optimizers.Optimizer,
        name: str = "two_player_optimizer",
    ):
        if generator_optimizer is discriminator_optimizer:
            expected = "The two optimizers must be two objects; `optimizer=` gives each player a copy of one"
            raise ValueError(f"{expected}. Received twice: {generator_optimizer!r}")
        for player in (generator_optimizer, discriminator_optimizer):
            is_wrapper = isinstance(player, keras.optimizers.LossScaleOptimizer)
            if is_wrapper or player.loss_scale_factor is not None:
                scaled = f"{type(player).__name__}, loss_scale_factor={player.loss_scale_factor}"
                expected = "A player's optimizer must not scale the loss: Keras does it under mixed_float16"
                raise ValueError(f"{expected}. Received: {scaled}")
        # A callable, so that the base class makes no rate variable of its own.
        super().__init__(learning_rate=lambda: generator_optimizer.learning_rate, name=name)
        generator_optimizer.name, discriminator_optimizer.name = "generator", "discriminator"
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer
        self._rate_ratio = self._measure_rate_ratio()
        self._generator_keys = frozenset()

    def build_players(self, generator_variables: list, discriminator_variables: list) -> None:
        """Creates both optimizers' state and remembers which variable is whose."""
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
                f"A TwoPlayerOptimizer cannot tell whose variables these are: call {call} instead."
            )

    @property
    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        """The generator's optimizer, then the discriminator's."""
        return [self.generator_optimizer, self.discriminator_optimizer]

    @property
    def variables(self) -> list:
        """Its own iteration count and all variables of both players' optimizers."""
        return self._variables + [v for player in self.optimizers for v in player.variables]

    @property
    def learning_rate(self):
        """The generator's rate. To set or assign it scales the discriminator's by the ratio fixed at first.

        Raises:
            TypeError: on setting, when either player follows a schedule, or to anything but a number;
            neither is touched then.
        """
        if self._rate_ratio is None:
            return self.generator_optimizer.learning_rate
        return _PlayersRate(self)

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        if self._rate_ratio is None or callable(learning_rate):
            raise TypeError(
                "The learning rate is not settable over a `LearningRateSchedule` or by one: create both "
                "optimizers with a float `learning_rate` and set a number, or create each with its schedule. "
                f"Received: {learning_rate!r}"
            )
        self._set_rates(learning_rate)

    def _set_rates(self, learning_rate) -> None:
        self.generator_optimizer.learning_rate = learning_rate
        self.discriminator_optimizer.learning_rate = learning_rate * self._rate_ratio

    def _measure_rate_ratio(self) -> float | None:
        """The discriminator's rate over the generator's, or None where either is not a number."""
        if not all(isinstance(player._learning_rate, keras.Variable) for player in self.optimizers):
            return None
        rate, other_rate = (float(player.learning_rate.numpy()) for player in self.optimizers)
        return other_rate / rate if rate else 1.0

    def apply(self, grads, trainable_variables=None) -> None:
        """Updates the given variables, of one player or of both, each by its player's optimizer."""
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
        """Each player's optimizer with those of the variables that are its own."""
        generators = [v for v in variables if self._var_key(v) in self._generator_keys]
        others = [v for v in variables if self._var_key(v) not in self._generator_keys]
        return [(self.generator_optimizer, generators), (self.discriminator_optimizer, others)]

    def save_own_variables(self, store) -> None:
        # The players are saved as objects of their own; saving `variables` would store them twice.
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
    """The generator's rate variable, with an `assign` that sets both players' rates."""

    def __init__(self, optimizer: TwoPlayerOptimizer):
        vars(self).update(vars(optimizer.generator_optimizer.learning_rate))  # one value, two objects
        self.set_rates = optimizer._set_rates

    def assign(self, value):
        self.set_rates(value)
        return self.value


@keras.saving.register_keras_serializable(package="gan")
class ScaledTwoPlayerOptimizer(keras.optimizers.LossScaleOptimizer):
    """Keras's loss scaling around a `TwoPlayerOptimizer`, for training in float16.

    Keras would wrap it in a plain `LossScaleOptimizer`, behind which callbacks see one optimizer; this
    one shows them both.
    """

    @property
    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        """The generator's optimizer, then the discriminator's."""
        return self.inner_optimizer.optimizers
