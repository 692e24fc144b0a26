import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { useOrder } from "../api/changes";
import { api, type Schemas, told } from "../api/client";
import { healthQuery, leftoversQuery, limitsQuery } from "../api/queries";
import { KILL } from "../lib/words";
import { AgentLink } from "../parts/AgentLink";
import { CapacityProbes } from "../parts/CapacityProbes";
import { Card } from "../parts/Card";
import { Confirm } from "../parts/Confirm";
import { Facts } from "../parts/Facts";
import { Usd, When } from "../parts/figures";
import { Limits } from "../parts/Limits";
import { Models } from "../parts/Models";
import { NewestProbes } from "../parts/NewestProbes";
import { Loading, Refused } from "../parts/states";
import { Table } from "../parts/Table";
import { Tag } from "../parts/Tag";

type Level = Schemas["Health"]["killSwitch"];

export function Health() {
  const { data: health, error } = useQuery(healthQuery);
  return (
    <>
      <title>Health · SpotGuard</title>
      <h1>Health</h1>
      <Refused error={error} what="Health could not be read" />
      {health === undefined ? error === null && <Loading /> : <Told health={health} />}
      <div className="cards">
        <SpendCaps />
        <CapacityProbes />
      </div>
      <NewestProbes />
      <Leftovers />
    </>
  );
}

function Told({ health }: { health: Schemas["Health"] }) {
  const { invariants, queue, model } = health;
  return (
    <div className="cards">
      <Card title="Invariants">
        <p>
          <Tag
            word={
              invariants.brokenCount === 0
                ? { text: `all ${invariants.checked.length} hold`, tone: "good" }
                : { text: `${invariants.brokenCount} broken`, tone: "bad" }
            }
          />
        </p>
        <ul>
          {invariants.broken.map((one) => (
            <li key={one}>{one}</li>
          ))}
        </ul>
        <More told={invariants.broken.length} of={invariants.brokenCount} />
        <details>
          <summary>Checked just now</summary>
          <ul>
            {invariants.checked.map((one) => (
              <li key={one}>{one}</li>
            ))}
          </ul>
        </details>
      </Card>
      <KillSwitch health={health} />
      <Card title="Coordinators">
        <Table
          label="Coordinators"
          rows={health.coordinators}
          keyOf={(one) => one.name}
          empty="No coordinator has ever held a lease in this database."
          columns={[
            { head: "Name", cell: (one) => <span className="mono">{one.name}</span> },
            {
              head: "State",
              cell: (one) => (
                <Tag word={one.alive ? { text: "alive", tone: "good" } : { text: "ended", tone: "calm" }} />
              ),
            },
            { head: "Until", cell: (one) => <When at={one.until} /> },
          ]}
        />
      </Card>
      <Card title="Nobody serves">
        <Table
          label="Agents that nobody serves"
          rows={health.agentsUnserved}
          keyOf={(one) => one.id}
          empty="None: no holder has let go or ended without a move that replaces it."
          columns={[
            {
              head: "Agent",
              cell: (one) => <AgentLink id={one.id} name={one.logicalAgentId} />,
            },
            { head: "What it waits for", cell: (one) => one.why },
          ]}
        />
        <More told={health.agentsUnserved.length} of={health.agentsUnservedCount} />
      </Card>
      <Card title="Agents behind">
        {health.listeningUntil !== null && (
          <p className="notice">
            The server was away itself and listens: who is still not heard at{" "}
            <When at={health.listeningUntil} /> counts as silent. Until then that is unknown.
          </p>
        )}
        <Table
          label="Agents behind"
          rows={health.agentsBehind}
          keyOf={(one) => one.id}
          empty={
            health.listeningUntil === null
              ? "None: whoever serves was heard within two minutes."
              : "None that was silent before the server was away itself."
          }
          columns={[
            {
              head: "Agent",
              cell: (one) => <AgentLink id={one.id} name={one.logicalAgentId} />,
            },
            { head: "Last heard", cell: (one) => <When at={one.lastHeartbeatAt} never="never" /> },
          ]}
        />
        <More told={health.agentsBehind.length} of={health.agentsBehindCount} />
      </Card>
      <Card title="Commands and model">
        <Facts
          of={[
            ["Commands waiting", queue.pending],
            ["Commands in hand", queue.leased],
            ["Oldest waiting since", <When key="o" at={queue.oldestPendingAt} never="none waits" />],
          ]}
        />
        <Models of={model} />
      </Card>
    </div>
  );
}

/** What a list that is cut leaves out. */
function More({ told, of }: { told: number; of: number }) {
  return told < of && <p>{`and ${of - told} more, ${of} in all`}</p>;
}

function KillSwitch({ health }: { health: Schemas["Health"] }) {
  const client = useQueryClient();
  const [level, setLevel] = useState<Level>("none");
  const [reason, setReason] = useState("");
  const [isAsking, setAsking] = useState(false);
  const turn = useOrder({
    mutationFn: () => told(api.PUT("/api/client/kill-switch", { body: { level, reason, scope: "client" } })),
    onSuccess: () => {
      setAsking(false);
      setReason("");
    },
    onSettled: () => client.invalidateQueries(),
  });
  return (
    <Card title="Kill switch">
      <p>
        <Tag word={KILL[health.killSwitch]} />
      </p>
      <ul>
        {health.killSwitches.map((one) => (
          <li key={one.scope}>
            {one.scope === "client"
              ? "all agents"
              : one.scope === "*"
                ? "the installation"
                : `agent ${one.scope}`}
            : {KILL[one.level].text}, since <When at={one.updatedAt} />: {one.reason}
          </li>
        ))}
      </ul>
      <form
        className="row filters"
        onSubmit={(event) => {
          event.preventDefault();
          setAsking(true);
        }}
      >
        <TextInput
          label="Reason, for the next person"
          required
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
        />
        <NativeSelect
          label="From now on"
          value={level}
          onChange={(event) => setLevel(event.currentTarget.value as Level)}
          data={Object.entries(KILL).map(([value, word]) => ({ value, label: word.text }))}
        />
        <Button type="submit" color="red" variant="outline">
          Turn it…
        </Button>
      </form>
      <Confirm
        title="Turn the kill switch for all agents"
        action="Turn it"
        isOpen={isAsking}
        isPending={turn.isPending}
        error={turn.error}
        onClose={() => setAsking(false)}
        onConfirm={() => turn.mutate()}
      >
        <p>
          From now on <strong>{KILL[level].text}</strong>
          {level === "all" && ": an interruption by AWS then ends the workload"}. Open commands:{" "}
          {health.queue.pending + health.queue.leased}. Reason: {reason}
        </p>
      </Confirm>
    </Card>
  );
}

function SpendCaps() {
  const { data, error } = useQuery(limitsQuery);
  return (
    <Card title="Spend caps">
      <p className="reason">They bind voluntary and standby launches, never an emergency.</p>
      <Refused error={error} what="Caps could not be read" />
      {data !== undefined && <Limits limits={data} />}
    </Card>
  );
}

function Leftovers() {
  const { data, error } = useQuery(leftoversQuery);
  return (
    <Card title="Left over in the account">
      <Refused error={error} what="Leftovers could not be read" />
      {data !== undefined && (
        <p>
          <Usd of={data.usdPerMonth} places={2} /> a month, of what is known.
        </p>
      )}
      <Table
        label="Leftovers"
        rows={data?.items ?? []}
        keyOf={(one) => one.resourceId}
        empty={data === undefined ? "" : "Nothing of ours is loose."}
        columns={[
          { head: "What", cell: (one) => `${one.kind} ${one.resourceId}` },
          { head: "Why loose", cell: (one) => <span className="reason">{one.looseBecause}</span> },
          { head: "Plan", cell: (one) => <span className="reason">{one.plan}</span> },
          {
            head: "May go",
            cell: (one) => (
              <When
                at={one.mayGoAt}
                never={one.suspectSince === null ? "as the plan says" : "never by itself"}
              />
            ),
          },
          { head: "$/month", isNumber: true, cell: (one) => <Usd of={one.usdPerMonth} places={2} /> },
        ]}
      />
    </Card>
  );
}
