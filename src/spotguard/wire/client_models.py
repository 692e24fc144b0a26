"""Whose risks decide, and how a model on trial does."""

from __future__ import annotations

from spotguard.wire.client import Given, Moment


class JudgeState(Given):
    """A registered model on duty since `since`. `flaw`: why it cannot be asked; null: it can."""

    name: str
    registered_at: Moment
    since: Moment
    flaw: str | None


class TrialState(JudgeState):
    """The model in shadow beside whose risks decide now, by what came of this tenant's own predictions of one hour.

    Brier scores: less is better, null: no outcome is known. `betterBy` ± `margin`: the present one's less the shadow's;
    `beats`: it has beaten it, `because` says by what. `choices`: those stored, of which `choicesDiffering` differ.
    """

    outcomes: int
    falls: int
    days: int
    present_brier: float | None
    shadow_brier: float | None
    better_by: float | None
    margin: float | None
    beats: bool
    because: str
    choices: int
    choices_differing: int


class ModelState(Given):
    """Which policy decides, and whose risks `riskThreshold` is held against.

    `risk` null: nobody's, the active model cannot be asked and no voluntary move is made. `active` null: the built-in
    rule judges; `shadow` null: no model is on trial.
    """

    policy: str
    risk: str | None
    active: JudgeState | None
    shadow: TrialState | None
