"""`spotguard train` and `spotguard model`: learned models of the engine, and what their cards say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from spotguard.cli import registry
from spotguard.cli.extras import require_extra
from spotguard.cli.outcomes import outcomes
from spotguard.cli.output import Json, print_json, say, warn
from spotguard.domain.errors import BadSetting

app = typer.Typer(no_args_is_help=True, help="Learned models of the engine, and their registry.")
app.command()(registry.register)
app.command("list")(registry.list_all)
app.command()(registry.shadow)
app.command()(registry.activate)
app.command()(registry.retire)
app.command()(outcomes)


def train(
    data: Annotated[Path, typer.Option(exists=True, file_okay=False, help="folder of availability files")],
    out: Annotated[Path, typer.Option(dir_okay=False, help="the model file to write")],
    seed: Annotated[int, typer.Option(help="the same data and seed give the same file")] = 0,
    as_json: Json = False,
) -> None:
    """Fit the engine's model, calibrate it on later days and score it on days later still, baselines beside it.

    It needs the extra `training`.
    """
    require_extra("training", "skops")
    if not out.absolute().parent.is_dir():
        raise BadSetting(f"--out: the folder {out.absolute().parent} does not exist")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from spotguard.training import traces
    from spotguard.training.train import train as fitted

    left_out = [path.name for path in traces.found(data).left_out]
    if left_out:
        warn(f"left out, no availability files (columns {', '.join(traces.COLUMNS)}): {', '.join(left_out)}")
    body, card = fitted(data, seed, lambda what: warn(f"{what} …"))
    out.write_bytes(body)
    _show(card, as_json=as_json)
    warn(f"written: {out}")
    warn(_next_step(out, beats=card["beats_the_present_rule"]))


def _next_step(out: Path, *, beats: bool) -> str:
    trial = f"spotguard model register {out}, then spotguard model shadow NAME (docs/models.md)"
    if beats:
        return f"It beats the present rule on this data. Next, on trial beside it: {trial}"
    return (
        "It does not beat the present rule in every region and at every horizon: keep the rule, and train anew with "
        f"more of your own data (spotguard model outcomes). A trial decides nothing and does no harm either: {trial}"
    )


@app.command()
def show(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)], as_json: Json = False) -> None:
    """The card of a model file: data, splits, scores beside the baselines. A file that was changed is refused."""
    require_extra("training", "skops")
    from spotguard.models.model_file import load

    _show(load(file)[1], as_json=as_json)


def _show(card: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(card)
        return
    for name, value in card.items():
        if name != "validation":
            say(f"{name.replace('_', ' '):<24} {value}")
    for region, by_horizon in card["validation"].items():
        say(f"validation in {region}")
        for minutes, told in by_horizon.items():
            say(f"  {minutes} min: {told['falls']} falls in {told['examples']} looks")
            for who in ("model", card["present_rule"], "time_since_flip"):
                say(f"    {who:<18} {', '.join(f'{key} {one}' for key, one in told[who].items())}")
