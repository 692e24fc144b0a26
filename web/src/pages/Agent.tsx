import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { lazy, Suspense } from "react";
import { type AgentDetail, agentQuery } from "../api/queries";
import { AGENT_STATUS, HEALTH, place, SIGNAL, SIGNAL_ACTION } from "../lib/words";
import { Approval } from "../parts/agent/Approval";
import { Deletion, LeftBehind } from "../parts/agent/Deletion";
import { Drills } from "../parts/agent/Drills";
import { GuardRails } from "../parts/agent/GuardRails";
import { Decisions, Events, Moves } from "../parts/agent/History";
import { Lost } from "../parts/agent/Lost";
import { Panel } from "../parts/agent/Panel";
import { Protection } from "../parts/agent/Protection";
import { Replicas } from "../parts/agent/Replicas";
import { Route } from "../parts/agent/Route";
import { Card } from "../parts/Card";
import { Facts } from "../parts/Facts";
import { Percent, Usd, When } from "../parts/figures";
import { Loading, Refused } from "../parts/states";
import { Tag } from "../parts/Tag";

const PriceChart = lazy(() => import("../parts/agent/PriceChart"));

export function Agent() {
  const { agentId } = useParams({ from: "/inside/agents/$agentId" });
  const { data: agent, error } = useQuery(agentQuery(agentId));
  return (
    <>
      <p>
        <Link to="/">Fleet</Link> <span className="dim">›</span>
      </p>
      {agent === undefined && <title>Agent · SpotGuard</title>}
      {agent === undefined ? error === null && <Loading /> : <Parts agent={agent} />}
      <Refused error={error} what="This agent could not be read" />
    </>
  );
}

function Parts({ agent }: { agent: AgentDetail }) {
  const serving = agent.instanceId;
  const isDeleted = agent.status === "deleted";
  return (
    <>
      <title>{`${agent.logicalAgentId} · SpotGuard`}</title>
      <div className="row">
        <h1>{agent.logicalAgentId}</h1>
        <Tag word={AGENT_STATUS[agent.status]} />
        <Tag word={HEALTH[agent.health]} />
      </div>
      <p>
        <strong>{agent.nextAction}</strong> <span className="dim">({agent.why})</span>
      </p>
      <p>
        <Link to="/backtest" search={{ agent: agent.id, days: 7 }}>
          What would it have saved?
        </Link>
      </p>
      {isDeleted && <LeftBehind agent={agent} />}
      <Approval agent={agent} />
      <div className="cards">
        <State agent={agent} />
        <Protection agent={agent} />
      </div>
      {serving !== null && <Panel agent={agent} instanceId={serving} />}
      {serving !== null && (
        <Suspense fallback={<Loading />}>
          <PriceChart
            instanceId={serving}
            servingPool={agent.currentMode === "spot" ? agent.currentPoolId : null}
          />
        </Suspense>
      )}
      <Replicas agent={agent} />
      <div className="cards">
        <GuardRails agent={agent} />
        <Drills agent={agent} />
      </div>
      <Moves agentId={agent.id} />
      <div className="cards">
        <Decisions agentId={agent.id} />
        <Events agentId={agent.id} />
      </div>
      {!isDeleted && (
        <div className="cards">
          <Route agent={agent} />
          <Deletion agent={agent} />
        </div>
      )}
    </>
  );
}

function State({ agent }: { agent: AgentDetail }) {
  const signal = agent.lastSignal;
  return (
    <Card title="State">
      <Facts
        of={[
          ["Runs in", place(agent.currentMode, agent.currentPoolId)],
          ["Price an hour", <Usd key="p" of={agent.priceUsd} />],
          ["On demand an hour", <Usd key="o" of={agent.onDemandUsd} />],
          ["Saving", <Percent key="s" of={agent.savingPercent} />],
          [
            "Instance",
            <span key="i" className="mono">
              {agent.instanceId ?? "none serves"}
            </span>,
          ],
          ["Type", agent.instanceType ?? "unknown"],
          ["Zone", agent.az ?? "unknown"],
          ["Epoch", agent.epoch],
          ["Last heartbeat", <When key="h" at={agent.lastHeartbeatAt} never="never" />],
          ["Address", agent.privateIp ?? "unknown"],
          ["Agent's version", agent.agentVersion ?? "unknown"],
          [
            "Last signal",
            signal === null ? (
              "none of this instance"
            ) : (
              <span key="g">
                <Tag word={SIGNAL[signal.signalType]} /> <When at={signal.signalTime} />:{" "}
                {SIGNAL_ACTION[signal.action]}
                {signal.because !== null && <span className="reason"> ({signal.because})</span>}
              </span>
            ),
          ],
        ]}
      />
      {agent.lostState !== null && <Lost lost={agent.lostState} />}
    </Card>
  );
}
