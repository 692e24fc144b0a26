import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useOrder } from "../api/changes";
import { api, type Schemas, told } from "../api/client";
import { CALM_MS, meQuery } from "../api/queries";
import { AgentLink } from "../parts/AgentLink";
import { Card } from "../parts/Card";
import { Confirm } from "../parts/Confirm";
import { Facts } from "../parts/Facts";
import { When } from "../parts/figures";
import { Refused } from "../parts/states";
import { Table } from "../parts/Table";
import { Tag } from "../parts/Tag";

export function Tokens() {
  const { data: me } = useQuery(meQuery);
  const { data, error } = useQuery({
    queryKey: ["tokens"],
    queryFn: () => told(api.GET("/api/client/tokens")),
    refetchInterval: CALM_MS,
  });
  return (
    <>
      <title>Tokens · SpotGuard</title>
      <h1>Tokens</h1>
      <Refused error={error} what="Tokens could not be read" />
      <div className="cards">
        <Card title="Tenant">
          <Facts
            of={[
              ["Name", me?.name ?? "unknown"],
              ["E-mail", me?.email ?? "none"],
              ["Who calls AWS", me?.executor ?? "unknown"],
              ["Server's version", me?.version ?? "unknown"],
            ]}
          />
          <Rotation browsers={data?.browsers.length ?? null} />
        </Card>
        <Card title="Signed-in browsers">
          <Table
            label="Signed-in browsers"
            rows={data?.browsers ?? []}
            keyOf={(one) => one.createdAt}
            empty=""
            columns={[
              {
                head: "Since",
                cell: (one) => (
                  <>
                    <When at={one.createdAt} />{" "}
                    {one.isThis && <Tag word={{ text: "this one", tone: "info" }} />}
                  </>
                ),
              },
              { head: "Until", cell: (one) => <When at={one.expiresAt} /> },
            ]}
          />
        </Card>
      </div>
      <Card title="Agents' tokens">
        <p className="reason">
          Bound to one instance each. Only hashes are kept: no token can be shown again.
        </p>
        <Table<Schemas["AgentTokenState"]>
          label="Agents' tokens"
          rows={data?.agentTokens ?? []}
          keyOf={(one) => `${one.instanceId} ${one.createdAt}`}
          empty={data === undefined ? "" : "No instance has registered yet."}
          columns={[
            {
              head: "Agent",
              cell: (one) => <AgentLink id={one.agentId} name={one.logicalAgentId} />,
            },
            { head: "Instance", cell: (one) => <span className="mono">{one.instanceId}</span> },
            { head: "Given", cell: (one) => <When at={one.createdAt} /> },
            { head: "Instance ended", cell: (one) => <When at={one.instanceEndedAt} never="no" /> },
            { head: "Revoked", cell: (one) => <When at={one.revokedAt} never="no" /> },
          ]}
        />
      </Card>
    </>
  );
}

function Rotation({ browsers }: { browsers: number | null }) {
  const [isAsking, setAsking] = useState(false);
  const rotate = useOrder({
    mutationFn: () => told(api.POST("/api/client/token/rotate", { body: { confirm: true } })),
  });
  if (rotate.data !== undefined) {
    return (
      <div role="status">
        <p>The new token, shown this once: keep it. This browser stays signed in.</p>
        <p className="mono">{rotate.data.token}</p>
      </div>
    );
  }
  return (
    <>
      <Button variant="outline" color="red" onClick={() => setAsking(true)}>
        Rotate the token…
      </Button>
      <Confirm
        title="Rotate the tenant's token"
        action="Rotate it"
        isOpen={isAsking}
        isPending={rotate.isPending}
        error={rotate.error}
        onClose={() => setAsking(false)}
        onConfirm={() => rotate.mutate()}
      >
        <p>
          The present token opens nothing any more, at once: scripts that use it fail until they have the new
          one, and {browsers === null ? "all" : Math.max(0, browsers - 1)} other signed-in browsers must sign
          in again. Agents keep their own tokens.
        </p>
      </Confirm>
    </>
  );
}
