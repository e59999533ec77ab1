"""`efsprov model optimize`: a smaller model, made and measured inside a release of dependencies."""

from pathlib import Path
from typing import Annotated

import typer

from efsprov.cli.console import out, print_json
from efsprov.cli.options import Arch, Json, OptionalReleaseId, Runtime
from efsprov.cli.progress import shown_progress
from efsprov.cli.select import select_channel, select_release
from efsprov.cli.verbs.model.options import ModelName, ModelRoot, chosen_model, in_words_of_models
from efsprov.cli.verbs.model.push import describe_result, read_meta, report_result
from efsprov.cli.verbs.model.report import report_lines
from efsprov.cli.verbs.prune import NoWait
from efsprov.core.errors import EfsprovError, UsageError
from efsprov.models.optimization import Quantize, To, packages_for
from efsprov.models.optimize import Optimization, optimize, plan_optimization
from efsprov.models.publish import Published
from efsprov.models.release_tools import ReleaseTools
from efsprov.pipeline.tools.progress import ProgressReporter
from efsprov.store.journal import read_state
from efsprov.store.layout import Channel

_To = Annotated[To | None, typer.Option("--to", help="What the model becomes.")]
_Quantize = Annotated[
    Quantize | None,
    typer.Option(
        "--quantize", help="TFLite: dynamic, float16, int8. ONNX: dynamic, static. int8 and static need data."
    ),
]
_Prune = Annotated[
    float | None,
    typer.Option("--prune", metavar="SHARE", help="Set so many of a Keras model's smallest weights to zero: 0.5."),
]
_Representative = Annotated[
    Path | None,
    typer.Option("--representative", metavar="FILE", help="Typical inputs, .npy or .npz: to calibrate and compare."),
]
_Evaluate = Annotated[
    Path | None,
    typer.Option("--evaluate", metavar="FILE", help="Other inputs to compare both models on, .npy or .npz."),
]
_Channel = Annotated[
    str | None,
    typer.Option(
        "--channel",
        metavar="NAME[,NAME]",
        help="The channels whose packages do it (default: the one that the model is made for, or the only one).",
    ),
]
_InputShape = Annotated[
    str,
    typer.Option(
        "--input-shape", metavar="N,N,...", help="The input's shape, for TorchScript without data: 1,3,224,224."
    ),
]
_Signature = Annotated[str, typer.Option("--signature", metavar="NAME", help="The SavedModel's signature.")]
_Agreement = Annotated[
    float | None,
    typer.Option(
        "--require-agreement",
        metavar="SHARE",
        min=0,
        max=1,
        help="Publish only if top-1 stays the same so often: 0.95.",
    ),
]
_As = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="Publish it as another model (default: the same).")
]
_Activate = Annotated[
    bool, typer.Option("--activate", help="Make it current at once: does every handler take the new format?")
]
_Meta = Annotated[
    list[str] | None, typer.Option("--meta", metavar="KEY=VALUE", help="A remark to keep; may be repeated.")
]
_Timeout = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=1, help="The longest that one step may take.")
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("optimize")(optimize_model)


def optimize_model(
    root: ModelRoot,
    name: ModelName,
    release: OptionalReleaseId = None,
    *,
    to: _To = None,
    quantize: _Quantize = None,
    prune: _Prune = None,
    representative: _Representative = None,
    evaluate: _Evaluate = None,
    tools_from: _Channel = None,
    runtime: Runtime = None,
    arch: Arch = None,
    input_shape: _InputShape = "",
    signature: _Signature = "",
    require_agreement: _Agreement = None,
    publish_as: _As = None,
    activate: _Activate = False,
    meta: _Meta = None,
    timeout: _Timeout = 3600,
    no_wait: NoWait = False,
    as_json: Json = False,
) -> None:
    """Convert, quantise or prune a model inside a release, compare it with the original, and publish it."""
    wanted = Optimization(
        to=to,
        quantize=quantize,
        prune=prune,
        representative=representative,
        evaluate=evaluate,
        input_shape=_read_shape(input_shape),
        signature=signature,
        require_agreement=require_agreement,
        meta=read_meta(meta or ()),
        activate=activate,
        wait=not no_wait,
    )
    with chosen_model(root, name, writing=True) as model:
        chosen = select_release(model, read_state(model), release or "current")
        manifest, plan = plan_optimization(model, chosen, wanted)
    packages = packages_for(manifest.model.format, plan)
    selected = _select_tools(root, tools_from or manifest.model.made_for, runtime, arch, packages)
    with in_words_of_models(name), shown_progress() as emit:
        tools = ReleaseTools.of(selected, timeout=timeout)
        into = model.root.channel(publish_as, kind="model") if publish_as else model
        result = optimize(model, chosen, wanted, tools, ProgressReporter(emit), into=into)
    if as_json:
        print_json(describe_result(result))
    else:
        _report(into.name, result)


def _select_tools(
    root: Path, wanted: str, runtime: str | None, arch: str | None, packages: tuple[str, ...]
) -> list[tuple[Channel, str]]:
    """Return the channels of the names in ``wanted`` ('' for the only one) with their current releases."""
    names = [word.strip() for word in wanted.split(",")] if wanted else [None]
    try:
        channels = [select_channel(root, each, runtime, arch) for each in names]
        return [(each, select_release(each, read_state(each), "current")) for each in channels]
    except EfsprovError as error:
        words = f"--framework {packages[0]}" if len(packages) == 1 else "--channel NAME --requirements FILE"
        makes = error.hint.replace("--framework tensorflow", words)
        error.hint = f"It takes channels that hold {' and '.join(packages)}: --channel NAME[,NAME]. {makes}"
        raise


def _read_shape(text: str) -> tuple[int, ...]:
    if not text:
        return ()
    words = text.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise UsageError(
            f"--input-shape {text!r} is not a list of sizes.", hint="For example: --input-shape 1,3,224,224"
        )
    return tuple(int(word) for word in words)


def _report(name: str, result: Published) -> None:
    report_result(name, result)
    lineage = result.manifest.model.lineage
    if lineage is not None and lineage.report is not None:
        for line in report_lines(lineage.report):
            out.print(f"  {line}")
