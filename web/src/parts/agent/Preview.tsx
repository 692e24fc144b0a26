import type { Schemas } from "../../api/client";
import { span } from "../../lib/time";
import { MOVE_KIND, STEP, WHEN_LATE } from "../../lib/words";
import { Facts } from "../Facts";
import { Usd, When } from "../figures";

const minutes = (told: number) => span(Math.round(told * 60));

/** A move's consequences in numbers, each with where it comes from. */
export function Preview({ move }: { move: Schemas["MovePreview"] }) {
  return (
    <>
      <p>
        <strong>{MOVE_KIND[move.kind].text}</strong>: {MOVE_KIND[move.kind].means}. This time: {move.because}.
      </p>
      {move.warnings.map((warning) => (
        <p key={warning} className="notice">
          {warning}
        </p>
      ))}
      <Facts
        of={[
          ["Downtime", `${minutes(move.downtimeMinutes)} (${move.downtimeFrom})`],
          ["One more is billed for", `${minutes(move.overlapMinutes)} (${move.overlapFrom})`],
          ["That costs", <Usd key="o" of={move.overlapUsd} />],
          ["Now, an hour", <Usd key="n" of={move.oldUsdPerHour} />],
          ["Then, an hour", <Usd key="t" of={move.newUsdPerHour} />],
          ["Saved an hour", <Usd key="s" of={move.savedUsdPerHour} />],
          ["State", move.stateGib === null ? "unknown" : `${move.stateGib} GiB`],
          [
            "Clients",
            move.traffic === null
              ? "no route is configured"
              : `${move.traffic.driver}: ${span(move.traffic.seconds)}`,
          ],
          [
            "The old instance",
            move.autoTerminate ? `ends after ${span(move.terminateWaitSeconds)}` : "is kept, and is billed",
          ],
          ["Given up at", <When key="d" at={move.deadlineAt} />],
        ]}
      />
      <details>
        <summary>Its steps, and what happens when one is late</summary>
        <ul className="steps">
          {move.steps.map((step) => (
            <li key={step.step}>
              <span className="took">{span(step.withinSeconds)}</span>
              <span>
                {STEP[step.step]} <span className="reason">({WHEN_LATE[step.whenLate]})</span>
              </span>
            </li>
          ))}
        </ul>
      </details>
    </>
  );
}
