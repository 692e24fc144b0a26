import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { type Switch, switchQuery } from "../api/queries";
import { span } from "../lib/time";
import { MOVE_KIND, means, place, SWITCH_STATUS, SYNC_STATUS, TRIGGER } from "../lib/words";
import { Card } from "../parts/Card";
import { Facts } from "../parts/Facts";
import { Usd, When } from "../parts/figures";
import { Downtime, SavedAnHour, Timeline } from "../parts/MoveLine";
import { Loading, Refused } from "../parts/states";
import { Tag } from "../parts/Tag";

export function OneSwitch() {
  const { switchId } = useParams({ from: "/inside/switches/$switchId" });
  const { data: move, error } = useQuery(switchQuery(switchId));
  return (
    <>
      <p>
        <Link to="/switches">Switches</Link> <span className="dim">›</span>
      </p>
      {move === undefined && <title>Switch · SpotGuard</title>}
      {move === undefined ? error === null && <Loading /> : <Told move={move} />}
      <Refused error={error} what="This switch could not be read" />
    </>
  );
}

function Told({ move }: { move: Switch }) {
  return (
    <>
      <title>{`Switch of ${move.logicalAgentId} · SpotGuard`}</title>
      <div className="row">
        <h1>
          {move.logicalAgentId}: {place(move.oldMode, move.oldPoolId)} → {place(move.newMode, move.newPoolId)}
        </h1>
        <Tag word={SWITCH_STATUS[move.status]} />
      </div>
      <p>
        <Link to="/agents/$agentId" params={{ agentId: move.agentId }}>
          To the agent
        </Link>
      </p>
      <div className="cards">
        <Card title="Timeline">
          <Timeline move={move} />
        </Card>
        <Card title="The move">
          <Facts
            of={[
              ["Trigger", TRIGGER[move.trigger]],
              ["How", `${MOVE_KIND[move.kind].text}: ${means(move)}`],
              ["Began", <When key="b" at={move.initiatedAt} />],
              ["Downtime", <Downtime key="t" move={move} />],
              ["Ended", <When key="e" at={move.completedAt} never="not yet" />],
              [
                "Old instance",
                <span key="o" className="mono">
                  {move.oldInstanceId ?? "unknown"}
                </span>,
              ],
              [
                "New instance",
                <span key="n" className="mono">
                  {move.newInstanceId ?? "not named yet"}
                </span>,
              ],
              [
                "Old price an hour",
                <Usd key="p" of={move.oldMode === "ondemand" ? move.onDemandPrice : move.oldSpotPrice} />,
              ],
              [
                "New price an hour",
                <Usd key="q" of={move.newMode === "ondemand" ? move.onDemandPrice : move.newSpotPrice} />,
              ],
              ["On demand an hour", <Usd key="d" of={move.onDemandPrice} />],
              ["Saved an hour", <SavedAnHour key="s" move={move} />],
            ]}
          />
          {move.fallback && (
            <p>
              The old instance can be gone back to: <Tag word={SYNC_STATUS[move.fallback.syncStatus]} />,
              going back now would discard{" "}
              {move.fallback.discardsSeconds === null
                ? "an unknown time"
                : span(move.fallback.discardsSeconds)}{" "}
              of writes (told <When at={move.fallback.toldAt} />
              ). Move… on the agent’s page, to {place(move.oldMode, move.oldPoolId)}, goes back to it.
            </p>
          )}
        </Card>
      </div>
    </>
  );
}
