"""`spotguard`: puts the commands together and turns failures into one clear line."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from spotguard import __version__
from spotguard.cli import bench, client, db, iam, kill_switch, model, prices
from spotguard.cli.advise import advise
from spotguard.cli.agent import agent_app
from spotguard.cli.backtest import backtest
from spotguard.cli.cleanup import cleanup
from spotguard.cli.configure import configure
from spotguard.cli.delete import delete
from spotguard.cli.demo import demo
from spotguard.cli.doctor import doctor
from spotguard.cli.drill import drill
from spotguard.cli.output import NO_CREDENTIALS, warn
from spotguard.cli.paragraphs import fill_paragraphs
from spotguard.cli.probes import probes
from spotguard.cli.serve import coordinator, server
from spotguard.cli.simulate import simulate
from spotguard.cli.usage import WrongUsage, require_alone, usage_sentence
from spotguard.cli.verify import verify_aws
from spotguard.domain.errors import WITHOUT_CREDENTIALS, BadSetting, CloudError, SpotGuardError
from spotguard.telemetry import configure_logging

FAILED, USAGE, INTERRUPTED = 1, 2, 130


class _OneLine(TyperGroup):
    """One line on stderr for what can go wrong by itself, exit code 1, or 2 where what was typed or set is wrong; bugs
    keep their traceback.
    """

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        try:
            require_alone(args)
            return super().make_context(info_name, args, parent, **extra)
        except WrongUsage as error:
            _end_wrong_usage(error)
            raise

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            raise  # whoever read our output has read enough: click ends quietly
        except WrongUsage as error:
            _end_wrong_usage(error)
            raise
        except Exception as error:  # sorted below: what is not a known failure goes on unchanged
            sentence = _sentence(error)
            if sentence is None or ctx.params.get("debug"):
                raise
            warn(f"spotguard: {sentence}")
            raise typer.Exit(USAGE if isinstance(error, BadSetting) else FAILED) from error


app = typer.Typer(
    cls=_OneLine,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Keeps single EC2 workloads on spot capacity.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,  # noqa: ARG001 -- read by _OneLine
    version: Annotated[  # noqa: ARG001 -- its callback acts
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    configure_logging("error")  # a command speaks for itself; those that run for long set their own level


app.command()(demo)
app.command()(simulate)
app.command()(advise)
app.command()(backtest)
app.command()(model.train)
app.add_typer(model.app, name="model")
app.command()(server)
app.command()(coordinator)
app.add_typer(agent_app, name="agent")
app.add_typer(db.app, name="db")
app.add_typer(client.app, name="client")
app.add_typer(prices.app, name="prices")
app.add_typer(iam.app, name="iam")
app.add_typer(bench.app, name="bench")
app.command("verify-aws")(verify_aws)
app.command()(doctor)
app.command()(cleanup)
app.command()(drill)
app.command()(configure)
app.command()(delete)
app.command()(probes)
app.command("kill-switch")(kill_switch.kill_switch)
fill_paragraphs(app)


def _end_wrong_usage(error: Exception) -> None:
    """Returns for the help that is shown when nothing was typed."""
    sentence = usage_sentence(error)
    if sentence is not None:
        warn(f"spotguard: {sentence}")
        raise typer.Exit(USAGE) from error


def _sentence(error: Exception) -> str | None:
    """What to tell a person; None for an error that nobody foresaw."""
    if isinstance(error, CloudError) and error.code in WITHOUT_CREDENTIALS:
        return NO_CREDENTIALS
    if isinstance(error, SpotGuardError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
    return _of_database(error)


def _of_database(error: Exception) -> str | None:
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    if isinstance(error, DBAPIError):
        told = error.orig.args if error.orig is not None else ()
        number_and_sentence = 2  # of MySQL and MariaDB
        sentence = f"{told[1]} ({told[0]})" if len(told) == number_and_sentence else str(error.orig)
        return f"database: {' '.join(sentence.split())}"
    if isinstance(error, SQLAlchemyError):
        return f"database: {' '.join(str(error).split())}"
    return None
