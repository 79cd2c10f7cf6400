"""What the gate found out about an exported file."""

import dataclasses


class VerificationError(ValueError):
    """An artifact that does not compute what its model computes.

    Attributes:
        report: the `Report`, or `None` when the artifact did not run.
    """

    def __init__(self, message, report=None):
        super().__init__(message)
        self.report = report


@dataclasses.dataclass
class Report:
    """What `verify` measured.

    Attributes:
        artifact: path of the file.
        format: `"litert"`, `"onnx"` or `"saved_model"`.
        quantization: `"float32"`, `"float16"`, `"int8"` or `"int4"`, the
            smallest type among the matrices that are stored in it.
        bytes: size of the file, or of all files of the folder.
        examples: number of examples compared.
        inputs: for each signature the names of its inputs.
        outputs: for each output its largest and its mean |Δ|. Outputs that
            are no probabilities have a scale of their own: their |Δ| is
            relative to the root mean square of the model's.
        label_agreement: share of examples (of tokens, where each token has
            a label) with the same label, or `None` when the outputs are no
            classes.
        clear_label_agreement: the same among the examples whose two best
            classes lie further apart than the tolerance.
        metric: the task's metric on the user's labelled data, or `None`:
            `"name"`, `"model"`, `"artifact"`, `"drop"` (points, hundredths)
            and `"rows"`.
        weights: `"bytes"` of all matrices in the file, and
            `"repeated_bytes"` of those that are there again.
        custom_operators: names of the operators that stock runtimes lack.
        memory: bytes above the bare runtime, `"resident"` and at the
            `"peak"`, once the file was run at `latency["tokens"]`; `None`
            where the system does not tell.
        latency: milliseconds of the first and of the median run, of
            `"tokens"`; `"by_length"` has a list of the same for several
            lengths.
        tolerances: what had to be kept.
        failures: sentences, one a tolerance that was not kept.
        tried: for `quantization="auto"`, what was tried before: a list of
            `{"quantization", "bytes", "metric", "passed", "failures"}`.
    """

    artifact: str
    format: str
    quantization: str
    bytes: int
    examples: int
    inputs: dict
    outputs: dict
    label_agreement: float | None
    clear_label_agreement: float | None
    metric: dict | None
    weights: dict
    custom_operators: list
    memory: dict
    latency: dict
    tolerances: dict
    failures: list
    tried: list = dataclasses.field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every tolerance was kept."""
        return not self.failures

    @property
    def max_abs_diff(self) -> float:
        """The largest |Δ| of all outputs."""
        return max(output["max_abs_diff"] for output in self.outputs.values())

    def to_dict(self) -> dict:
        """The report as a dictionary that JSON can hold."""
        return {**dataclasses.asdict(self), "passed": self.passed}

    def __str__(self):
        rows = [
            ("artifact", self.artifact),
            ("weights", self._weights()),
            ("file", f"{self.bytes / 1e6:.2f} MB"),
        ]
        for signature, names in self.inputs.items():
            rows.append((signature, ", ".join(names)))
        if self.custom_operators:
            rows.append(("not builtin", ", ".join(self.custom_operators)))
        rows.append(("examples", str(self.examples)))
        for name, output in self.outputs.items():
            rows.append(
                (
                    name,
                    f"max |Δ| {output['max_abs_diff']:.2e}, "
                    f"mean |Δ| {output['mean_abs_diff']:.2e}",
                )
            )
        if self.label_agreement is not None:
            rows.append(("same label", f"{100 * self.label_agreement:.2f} %"))
        if self.metric is not None:
            rows.append((self.metric["name"], self._metric()))
        if self.memory["resident"] is not None:
            rows.append(
                (
                    "memory",
                    f"{self.memory['resident'] / 1e6:.1f} MB resident, "
                    f"{self.memory['peak'] / 1e6:.1f} MB at the peak",
                )
            )
        for entry in self.latency["by_length"]:
            rows.append(
                (
                    f"{entry['tokens']} tokens",
                    f"{entry['first_ms']:.1f} ms first, "
                    f"{entry['median_ms']:.1f} ms median",
                )
            )
        rows.append(("verdict", "passed" if self.passed else "FAILED"))
        rows.extend(("", failure) for failure in self.failures)
        table = "\n".join(f"{name:<16} {value}" for name, value in rows)
        return f"{tried_table(self.tried)}\n{table}" if self.tried else table

    def _weights(self):
        repeated = self.weights["repeated_bytes"]
        if repeated:
            return f"{self.quantization}, {repeated / 1e6:.2f} MB of it twice"
        return f"{self.quantization}, stored once"

    def _metric(self):
        metric = self.metric
        return (
            f"{metric['artifact']:.4f}, of the model {metric['model']:.4f}, "
            f"on {metric['rows']} rows"
        )


def tried_table(tried: list) -> str:
    """A line for each quantization that `"auto"` tried.

    Args:
        tried: see `Report`.

    Returns:
        string.
    """
    lines = [f"{'quantization':<13}{'MB':>8}{'metric':>9}{'points':>8}  kept"]
    for row in tried:
        size = "-" if row["bytes"] is None else f"{row['bytes'] / 1e6:.2f}"
        metric = row["metric"] or {}
        value = f"{metric['artifact']:.4f}" if metric else "-"
        points = f"{0.0 - metric['drop']:+.2f}" if metric else "-"
        verdict = "yes" if row["passed"] else f"no: {row['failures'][0]}"
        name = row["quantization"] or "none"
        lines.append(f"{name:<13}{size:>8}{value:>9}{points:>8}  {verdict}")
    return "\n".join(lines)
