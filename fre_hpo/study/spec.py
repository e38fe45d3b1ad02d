"""What a study is: everything that decides its result, in one frozen value.

The spec of ONE method is stored as JSON with the study and compared when the study is started
again.  Every default stands here and nowhere else, except for the options of a data set (beside the
set) and the parameters of a method (beside the method).
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from fre_hpo import data, methods
from fre_hpo.data import DataOptions
from fre_hpo.errors import UsageError
from fre_hpo.study.space import Fixed, Number, Range, written

AUGMENTATIONS: Final = ("flips", "quarter-turns")
GROUPS = 8
"""Group normalisation divides the feature maps of every width into so many groups."""

NOT_COMPARED = {"training.checkpoint_seconds", "training.trace"}
"""What may differ when a study is started again: it changes no result."""


class Strict(BaseModel):
    """Unchangeable, no unknown key, no silent conversion, no NaN and no infinity."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


def _in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in AUGMENTATIONS if name in names)


Width = Annotated[int, Field(ge=1, le=2**16)]
Augmentations = Annotated[tuple[Literal["flips", "quarter-turns"], ...], AfterValidator(_in_order)]


class ModelSpec(Strict):
    """The SE-U-Net (paper, section 3; what the paper leaves open is configuration)."""

    widths: tuple[Width, ...] = Field(
        (64, 128, 256, 512),
        min_length=2,
        description="feature maps of each encoder block; the last number is what maps stands for",
    )
    norm: Literal["batch", "batch_renorm", "group"] = Field(
        "batch", description="normalisation before each ReLU: batch, batch_renorm or group"
    )
    upsample: Literal["transposed", "bilinear"] = Field(
        "transposed", description="up-steps of the decoder: transposed convolution or bilinear"
    )
    se_reduction: int = Field(
        16, ge=1, description="reduction inside the squeeze-and-excitation blocks"
    )

    @model_validator(mode="after")
    def _groups_fit(self) -> Self:
        unfit = [w for w in self.widths if w > GROUPS and w % GROUPS]
        if self.norm == "group" and unfit:
            raise ValueError(
                f"norm = group needs widths that are multiples of {GROUPS}, not {unfit[0]}"
            )
        return self


class TrainingSpec(Strict):
    """How every trial is trained."""

    epochs: int = Field(
        2000, ge=1, le=10**6, description="epochs of every trial; the best on validation counts"
    )
    batch_size: int = Field(16, ge=1, description="images in a batch")
    learning_rate: float = Field(1e-3, gt=0, description="learning rate of the optimiser")
    optimizer: Literal["adam"] = Field("adam", description="the optimiser: adam")
    augment: Augmentations = Field(
        AUGMENTATIONS,
        description="random changes of training images: flips, quarter-turns; [] is none",
    )
    class_weights: Literal["none", "sqrt"] = Field(
        "none",
        description="weights of the classes in the loss: none (plain cross-entropy), or sqrt of their "
        "inverse frequencies, so that rare classes are learned early",
    )
    eval_bn: Literal["recalibrate", "running"] = Field(
        "recalibrate",
        description="batch-norm statistics in evaluation: recalibrate them without the method's "
        "enhancement, or the running ones",
    )
    seeds: Literal["common", "per-trial"] = Field(
        "common",
        description="initialisation and order of the data: common to all trials, or per-trial",
    )
    checkpoint_seconds: float = Field(
        60.0, ge=0, description="seconds between two checkpoints of a trial; 0 is after every epoch"
    )
    warmup_epochs: int = Field(
        0, ge=0, description="epochs in which the learning rate rises linearly"
    )
    lr_decay: Literal["none", "cosine"] = Field(
        "none", description="learning rate after the warm-up: none keeps it, cosine lowers it to 0"
    )
    gradient_clip: float = Field(
        0.0, ge=0, description="largest norm of the gradient; 0 is no limit"
    )
    trace: bool = Field(
        False,
        description="record what the deepest feature maps are like during training, for "
        "`fre-hpo plot --kind features` and `enhancement`; short: `--trace`",
    )


class SamplerSpec(Strict):
    """How Optuna's TPE proposes the next trial."""

    startup_trials: int = Field(10, ge=1, description="trials drawn at random before TPE begins")
    multivariate: bool = Field(True, description="TPE models the parameters jointly")
    constant_liar: bool = Field(
        True, description="TPE keeps away from trials that are still running"
    )


class EngineSpec(Strict):
    """How fast, and how repeatably, a trial is computed."""

    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="of convolutions and feature maps: float32, bfloat16, or auto: bfloat16 where the "
        "device computes with it",
    )
    compile: bool = Field(
        False, description="compile the network, once for each worker: a minute, then faster steps"
    )
    deterministic: bool = Field(
        False, description="only kernels that repeat every bit on one kind of device, at some cost"
    )


TABLES: dict[str, type[Strict]] = {
    "model": ModelSpec,
    "training": TrainingSpec,
    "sampler": SamplerSpec,
    "engine": EngineSpec,
}

TRIALS = {"fre": 50, "supervision": 15}
"""Trials wanted where a recipe does not say (paper, section 4); of the other methods, one."""


class Settings(Strict):
    """The part of a spec that is alike for all data sets and methods."""

    model: ModelSpec = ModelSpec()
    training: TrainingSpec = TrainingSpec()
    sampler: SamplerSpec = SamplerSpec()
    engine: EngineSpec = EngineSpec()
    seed: int = Field(0, ge=0, lt=2**32, description="seed of the sampler and of every training")


class Spec(Settings):
    """One study of one method.

    data: the options of the data set as plain JSON values, sorted by name.  parameters: in the
    method's order; a bound ``maps`` has become a number.
    """

    dataset: str = Field(description="name of the data set")
    data: dict[str, JsonValue]
    method: str = Field(description="the method that is put into the network")
    parameters: dict[str, Fixed | Range]

    @property
    def maps(self) -> int:
        """Feature maps at the end of the encoder of the network that the method really builds."""
        return methods.get(self.method).widths(self.model.widths)[-1]

    @property
    def options(self) -> DataOptions:
        """The options as ``fre_hpo.data.load`` takes them."""
        return read_options(self.dataset, self.data)

    @property
    def searched(self) -> dict[str, Range]:
        return {name: space for name, space in self.parameters.items() if isinstance(space, Range)}

    @property
    def fixed(self) -> dict[str, Number]:
        spaces = self.parameters.items()
        return {name: space.value for name, space in spaces if isinstance(space, Fixed)}

    def to_json(self) -> str:
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a stored spec; a key that an older version did not know takes its default.

        Raises UsageError when a newer version stored it.
        """
        try:
            spec = cls.model_validate_json(text)
            return spec.model_copy(update={"data": plain_options(spec.options)})
        except ValidationError as error:
            raise UsageError(
                problem="The settings that are stored with the study belong to another version of "
                f"fre-hpo ({_where(error)}): use the version that started it."
            ) from None

    def flat(self) -> dict[str, Any]:
        """Every value under its dotted key, as a recipe or ``--set`` names it."""
        tables = {"data": self.data, **{n: dict(getattr(self, n)) for n in TABLES}}
        return {
            "dataset": self.dataset,
            "method": self.method,
            **{
                f"{table}.{key}": value
                for table, keys in tables.items()
                for key, value in keys.items()
            },
            **{f"methods.{self.method}.{name}": space for name, space in self.parameters.items()},
            "seed": self.seed,
        }


def read_options(dataset: str, values: Mapping[str, object]) -> DataOptions:
    """Check the options of a data set; raises pydantic's ValidationError and UnknownDataset."""
    options: DataOptions = data.find(dataset).options.model_validate_json(json.dumps(values))
    return options


def plain_options(options: DataOptions) -> dict[str, JsonValue]:
    return dict(sorted(options.model_dump(mode="json").items()))


def differences(stored: Spec, asked: Spec) -> list[str]:
    """What tells two specs apart, one clause each; empty when a study may go on."""
    there, here = stored.flat(), asked.flat()
    shared = [key for key in there if key in here and key not in NOT_COMPARED]
    return [
        f"{_spoken(key)} is {written(there[key])} there and {written(here[key])} here"
        for key in shared
        if there[key] != here[key]
    ]


def unheeded(stored: Spec, asked: Spec) -> dict[str, Any]:
    """The stored values of keys that a study may be started with otherwise, but keeps as they are."""
    there, here = stored.flat(), asked.flat()
    return {key: there[key] for key in sorted(NOT_COMPARED) if there[key] != here[key]}


def _spoken(key: str) -> str:
    """A method's parameter is called by its own name, everything else by its dotted key."""
    return key.rpartition(".")[2] if key.startswith("methods.") else key


def _where(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
