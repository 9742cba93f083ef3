"""Everything a training run can be told, with units and meanings; YAML only overrides these defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from contract.config import ConfigModel

Precision = Literal["auto", "float32", "bfloat16", "float16"]


class DataConfig(ConfigModel):
    """Which people and features, and how they travel."""

    dataset: str = Field(description="folder or URL of a finished dataset (it holds manifest.json)")
    reader: Literal["petastorm", "arrow"] = Field(
        "petastorm", description="who decodes the Parquet row groups"
    )
    cache: Literal["none", "memory"] = Field(
        "memory", description="memory: ranks keep what they decoded, still sparse, once for all of a host"
    )
    cache_mb: int = Field(
        4096, ge=0, description="memory that a rank gives them (MiB); the rest is read anew"
    )
    validation_folds: tuple[int, ...] | None = Field(
        None, description="folds for early stopping; null: the lowest fold that is not the test fold"
    )
    held_out_folds: tuple[int, ...] = Field(
        (), description="folds that the fit does not see, beside the sealed one: those of a cross-validation"
    )
    batch_size: int = Field(
        64,
        ge=1,
        description="people per optimizer step, over all ranks; rounded to a multiple of the streams",
    )
    streams: int = Field(
        8,
        ge=1,
        description="streams that row groups are dealt to, whatever the number of ranks; see train.order",
    )
    shuffle_window: int = Field(
        32, ge=1, description="row groups of a stream whose rows are shuffled together"
    )
    prefetch: int = Field(4, ge=1, description="batches prepared ahead of the step")
    scaling: Literal["standard", "channel"] = Field(
        "channel",
        description="standard: each feature by its own standard deviation; channel: by its channel's pooled "
        "one, which leaves rare features small",
    )
    covariates: bool = Field(True, description="give the model the dataset's covariates")
    permute_labels: bool = Field(False, description="null run: labels shuffled among people, by the seed")


class EffectsConfig(ConfigModel):
    """Gene effects by empirical Bayes, the network's direct path; see train.effects."""

    polygenic: bool = Field(
        True, description="try a prior under which every gene has an effect, beside the sparse one"
    )
    neighbours: int = Field(15, ge=0, description="genes to either side whose products are tried; 0: none")
    gene_sets: str | None = Field(
        None, description="file of gene sets whose products are tried: a table, or .gmt; null: none"
    )
    properties: bool = Field(
        True, description="let the probability of an effect depend on the gene properties of the dataset"
    )
    shuffle_properties: bool = Field(
        False, description="control: properties shuffled among genes, by the seed"
    )
    groups: int = Field(
        5, ge=2, description="groups of training folds for cross-fitting: each is scored by a fit without it"
    )


class GeneCNNConfig(ConfigModel):
    """The project's network; see train.model.GeneCNN."""

    kind: Literal["gene_cnn"] = "gene_cnn"
    effects: EffectsConfig = EffectsConfig()
    convolution: bool = Field(
        True, description="false: gene effects and covariates alone, no convolutions to train"
    )
    shuffle_genes: bool = Field(
        False, description="control: genes shuffled within their chromosome, by the seed"
    )
    attended_genes: int = Field(
        2_000, ge=1, description="genes that the convolutions see: those most likely to have an effect"
    )
    burdens: int = Field(3, ge=1, description="mixtures of channels that go into the convolutions")
    filters: int = Field(8, ge=1, description="convolution filters along the genome")
    kernel_size: int = Field(5, ge=1, description="genes seen by one filter, odd")
    layers: int = Field(1, ge=1, description="convolutions along the genome")
    window: int = Field(16, ge=1, description="neighbouring genes pooled into one window")
    hidden: int = Field(8, ge=1, description="units after the pooled windows")
    dropout: float = Field(0.5, ge=0, lt=1, description="share of window and hidden units left out in a step")
    batch_norm: bool = True
    members: int = Field(
        1,
        ge=1,
        description="networks trained side by side, whose mean logit is the score; see train.ensemble",
    )

    @field_validator("kernel_size")
    @classmethod
    def _odd(cls, size: int) -> int:
        if size % 2 == 0:
            raise ValueError("an odd number of genes")
        return size


class PaperCNNConfig(ConfigModel):
    """The published network, doi 10.1515/jib-2024-0057; see train.model.PaperCNN."""

    kind: Literal["paper"] = "paper"
    filters: int = Field(16, ge=1, description="convolution filters")
    kernel_size: int = Field(3, ge=1, description="neighbouring features seen by one filter")
    dense: int = Field(128, ge=1, description="units of the dense layer")
    dropout: float = Field(0.5, ge=0, lt=1, description="share of units left out, after each of three layers")
    batch_norm: bool = True
    members: int = Field(
        1,
        ge=1,
        description="networks trained side by side, whose mean logit is the score; see train.ensemble",
    )


def _kind(settings: Any) -> str:
    found = settings.get("kind", "gene_cnn") if isinstance(settings, dict) else getattr(settings, "kind", "")
    return str(found)


ModelConfig = Annotated[
    Annotated[GeneCNNConfig, Tag("gene_cnn")] | Annotated[PaperCNNConfig, Tag("paper")], Discriminator(_kind)
]
"""Settings of a network; `kind` says of which one."""


class OptimizerConfig(ConfigModel):
    """Gradient descent with momentum (or Adam), warm-up, clipping and a plateau schedule."""

    method: Literal["sgd", "adam"] = Field("sgd", description="sgd: with momentum; adam: as the paper has it")
    learning_rate: float = Field(1e-2, gt=0, description="after warm-up")
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(1e-3, ge=0, description="of weights; norms and biases have none")
    l1: float = Field(0.0, ge=0, description="added to the loss: this times the sum of absolute weights")
    l2: float = Field(0.0, ge=0, description="added to the loss: this times the sum of squared weights")
    clip_norm: float | None = Field(1.0, gt=0, description="largest norm of the averaged gradient")
    warmup_steps: int = Field(20, ge=0, description="steps over which the learning rates rise from 0")
    plateau_factor: float = Field(0.5, gt=0, lt=1, description="learning rates are multiplied by this")
    plateau_patience: int = Field(1, ge=0, description="epochs without a better validation loss before that")
    decay_factor: float = Field(1.0, gt=0, le=1, description="learning rate is multiplied by this …")
    decay_steps: int = Field(10_000, ge=1, description="… each time so many steps are done")
    minimum_rate: float = Field(1e-5, ge=0, description="the schedule takes no rate lower")


class StoppingConfig(ConfigModel):
    """When training ends; the weights of the best validation loss are kept."""

    max_epochs: int = Field(50, ge=1)
    min_steps: int = Field(0, ge=0, description="steps before patience and plateaus count")
    patience: int = Field(
        2, ge=1, description="epochs without a better validation loss before training stops"
    )
    min_evidence: float = Field(
        1.64,
        ge=0,
        description="standard errors by which validation people must be better off with the convolutions "
        "than with gene effects alone, else these are switched off (1.64: one-sided 5 %)",
    )
    min_delta: float = Field(
        1e-4, ge=0, description="a validation loss is better when it is lower by this much"
    )


class EvaluationConfig(ConfigModel):
    """How the sealed test fold is judged."""

    bootstrap_draws: int = Field(
        1000, ge=1, description="resamplings of whole families, for other intervals than AUROC's"
    )
    threshold: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="score from which a person is called a case (accuracies, sensitivity, specificity, F1)",
    )
    prevalence: float | None = Field(
        None, gt=0, lt=1, description="share of cases in the population, for liability R²; null: not reported"
    )


class RunConfig(ConfigModel):
    """Where a run lives and what it runs on."""

    out: str = Field(
        description="folder of the run, or its URL (s3://...): checkpoints, history, bundle, metrics, report"
    )
    overwrite: bool = Field(
        False, description="replace a run that stands at out, with another configuration or damaged"
    )
    backend: Literal["auto", "horovod", "ddp", "none"] = Field(
        "auto", description="auto: horovod under horovodrun, ddp under torchrun, else one process"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU where there is one")
    precision: Precision = Field(
        "auto", description="auto: on a GPU bfloat16, or float16 where it has none; float32 on the CPU"
    )
    compile: bool = Field(
        False, description="let torch.compile join the network's operations; a minute more at the start"
    )
    half_gradients: bool = Field(
        False, description="gradients travel between ranks as float16: half the bytes, about three digits"
    )
    agree_seconds: float = Field(
        0.5, ge=0, description="time between questions among ranks whether to stop and save; 0: at every step"
    )
    checkpoint_steps: int | None = Field(
        None, ge=1, description="save after so many steps, beside the end of every epoch; null: any number"
    )
    checkpoint_seconds: float | None = Field(
        600.0, gt=0, description="save after so much time, beside the end of every epoch; null: any time"
    )
    commit_seconds: float = Field(
        10.0, gt=0, description="time between commits to memory, from which elastic ranks go on without one"
    )
    keep_checkpoints: int = Field(
        1, ge=1, description="checkpoints kept: the last one, and the ones before it as checkpoint.N.pt"
    )
    stall_seconds: float | None = Field(
        300.0, gt=0, description="all ranks end when one stands still for so long; null: they wait for ever"
    )

    log_steps: int = Field(
        10, ge=1, description="steps between two whose figures go to metrics.jsonl, TensorBoard and MLflow"
    )


class TrainConfig(ConfigModel):
    """One training run."""

    seed: int = Field(1, ge=0, description="of weights, dropout, sample order, permuted labels and bootstrap")
    data: DataConfig
    model: ModelConfig = GeneCNNConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    stopping: StoppingConfig = StoppingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    run: RunConfig
