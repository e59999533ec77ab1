"""Prints what an optimisation measured."""

from efsprov.cli.console import size
from efsprov.models.report import Measured, Report


def report_lines(report: Report) -> list[str]:
    """Return a report for people, a line each."""
    before, after = report.before, report.after
    lines = [f"[bold]size[/]     {size(before.bytes)} -> {size(after.bytes)} ({report.smaller:.1f} times smaller)"]
    if before.gzip_bytes is not None and after.gzip_bytes is not None:
        lines.append(f"[bold]gzip[/]     {size(before.gzip_bytes)} -> {size(after.gzip_bytes)}")
    if before.latency_ms is not None and after.latency_ms is not None:
        lines.append(f"[bold]latency[/]  {_latency(before)} -> {_latency(after)}")
    if report.sparsity is not None:
        lines.append(f"[bold]zeros[/]    {report.sparsity:.1%} of the weights")
    if (found := report.comparison) is None:
        return [*lines, f"[yellow]not compared: {report.left_out}[/]"]
    lines.append(
        f"[bold]outputs[/]  on {found.samples} {found.data} samples: error at most {found.max_error:.3g}, "
        f"{found.mean_error:.3g} on average (outputs are {found.scale:.3g} on average)"
    )
    if found.top1_agreement is not None:
        lines.append(f"[bold]top-1[/]    the same for {found.top1_agreement:.1%} of the samples")
    return lines


def _latency(measured: Measured) -> str:
    return (
        f"{measured.latency_ms:.2f} ms (90% below {measured.latency_p90_ms:.2f} ms, loads in {measured.load_ms:.0f} ms)"
    )
