import { Link } from "@tanstack/react-router";
import type { Switch } from "../api/queries";
import { secondsBetween, span } from "../lib/time";
import { MOVE_KIND, place, STEP, SWITCH_STATUS, TRIGGER, WHEN_LATE } from "../lib/words";
import { UNKNOWN, Usd, When } from "./figures";
import { Tag } from "./Tag";

/** One move, with its timeline behind it. */
export function MoveLine({ move, isOpen }: { move: Switch; isOpen: boolean }) {
  return (
    <details open={isOpen}>
      <summary>
        <When at={move.initiatedAt} />: {place(move.oldMode, move.oldPoolId)} →{" "}
        {place(move.newMode, move.newPoolId)}, {TRIGGER[move.trigger]}, {MOVE_KIND[move.kind].text}{" "}
        <Tag word={SWITCH_STATUS[move.status]} />
      </summary>
      <Timeline move={move} />
      <Link
        to="/switches/$switchId"
        params={{ switchId: move.id }}
        aria-label={`Details of the move ${move.id}`}
      >
        Details
      </Link>
    </details>
  );
}

type Steps = NonNullable<Switch["steps"]>;

/** Clocks of agents, and EC2's whole seconds, may put a launch before the decision that asked for it. */
const SKEW_SECONDS = 10;

/** What a standby had behind it when it was decided to promote it, and the move itself. */
export function split(steps: Steps): [Steps, Steps] {
  const decided = steps.find((step) => step.step === "decided");
  if (decided === undefined) return [[], steps];
  const isPast = (step: Steps[number]) => secondsBetween(step.at, decided.at) > SKEW_SECONDS;
  return [steps.filter(isPast), steps.filter((step) => !isPast(step))];
}

/** Each step with the seconds since the one before it, from the decision on; what a standby did before it apart. */
export function Timeline({ move }: { move: Switch }) {
  const [past, steps] = split(move.steps ?? []);
  return (
    <>
      {past.length > 0 && (
        <p className="reason">
          The standby before:{" "}
          {past.map((step, index) => (
            <span key={step.step}>
              {index > 0 && ", "}
              {STEP[step.step]} <When at={step.at} />
            </span>
          ))}
        </p>
      )}
      <ol className="steps" aria-label="Steps">
        {steps.map((step, index) => {
          const before = steps[index - 1];
          return (
            <li key={step.step}>
              <span className="took">
                {before ? `+${span(secondsBetween(before.at, step.at))}` : "begin"}
              </span>
              <span>
                {STEP[step.step]} <span className="reason">by {step.actor},</span>{" "}
                <span className="reason">
                  <When at={step.at} />
                </span>
              </span>
            </li>
          );
        })}
        {move.due && (
          <li>
            <span className="took">next</span>
            <span>
              {STEP[move.due.step]}, <When at={move.due.at} /> at the latest{" "}
              <span className="reason">(if it is late: {WHEN_LATE[move.due.late]})</span>
            </span>
          </li>
        )}
      </ol>
      {move.endedBecause !== null && <p className="reason">{move.endedBecause}</p>}
      {move.lostSeconds !== null && (
        <p className="reason">At most {span(move.lostSeconds)} of writes were lost with the dead holder.</p>
      )}
    </>
  );
}

/** As measured; of one that nobody measured it is unknown, not zero. */
export function Downtime({ move }: { move: Switch }) {
  const seconds = move.downtimeSeconds;
  if (typeof seconds !== "number") return UNKNOWN;
  return <span title="from the gate's closing to its opening on the new instance">{span(seconds)}</span>;
}

/** A move that was unwound or failed has saved nothing. */
export function SavedAnHour({ move }: { move: Switch }) {
  if (move.status === "unwound" || move.status === "failed") return <span className="dim">–</span>;
  return <Usd of={move.savingsImpact} />;
}
