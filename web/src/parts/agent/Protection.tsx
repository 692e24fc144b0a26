import { NativeSelect, Radio, Stack, Switch, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useConfigure } from "../../api/changes";
import type { Schemas } from "../../api/client";
import { type AgentDetail, controlsQuery } from "../../api/queries";
import { numberIn } from "../../lib/numbers";
import { span } from "../../lib/time";
import { AUTONOMY } from "../../lib/words";
import { Card } from "../Card";
import { Usd } from "../figures";
import { Refused } from "../states";
import { useDraft } from "../useDraft";
import { isBarred, WhyNot } from "../WhyNot";

type Kind = "automatic" | "manual" | "none";

const KINDS: Record<Kind, { label: string; description: string; change: Schemas["ConfigurationChange"] }> = {
  automatic: {
    label: "Automatic switching",
    description: "the engine moves it; a standby only when AWS signals",
    change: { autoSwitchEnabled: true },
  },
  manual: {
    label: "Manual replica",
    description: "you move it; a standby always stands by",
    change: { manualReplicaEnabled: true },
  },
  none: {
    label: "Neither",
    description: "no voluntary moves; it still hands over in an emergency if it can",
    change: { autoSwitchEnabled: false, manualReplicaEnabled: false },
  },
};

/** The exclusive toggles and what goes with them. A refused one goes back, with the reason under it. */
export function Protection({ agent }: { agent: AgentDetail }) {
  const { config } = agent;
  const configure = useConfigure(agent.id);
  const { data: controls } = useQuery(controlsQuery(agent.id));
  const barred = { automatic: controls?.automatic, manual: controls?.manual, none: undefined };
  const kind: Kind = config.manualReplicaEnabled ? "manual" : config.autoSwitchEnabled ? "automatic" : "none";
  return (
    <Card title="Protection">
      <Radio.Group
        label="Who moves it"
        value={kind}
        onChange={(next) => configure.mutate(KINDS[next as Kind].change)}
      >
        <Stack gap={6} mt={4}>
          {(Object.keys(KINDS) as Kind[]).map((value) => (
            <Radio
              key={value}
              value={value}
              label={KINDS[value].label}
              description={KINDS[value].description}
              disabled={value !== kind && isBarred(barred[value])}
            />
          ))}
        </Stack>
      </Radio.Group>
      {kind !== "automatic" && <WhyNot control={controls?.automatic} what="No automatic switching now" />}
      {kind !== "manual" && <WhyNot control={controls?.manual} what="No manual replica now" />}
      <StandbyCost cost={agent.standbyCost} />
      <NativeSelect
        label="Autonomy"
        mt="sm"
        value={config.autonomy}
        onChange={(event) => configure.mutate({ autonomy: event.currentTarget.value as Schemas["Autonomy"] })}
        data={Object.entries(AUTONOMY).map(([value, label]) => ({
          value,
          label,
          disabled: value === "auto" && config.autonomy !== "auto" && isBarred(controls?.autonomyAuto),
        }))}
      />
      {config.autonomy !== "auto" && <WhyNot control={controls?.autonomyAuto} what="Not auto now" />}
      <Switch
        mt="md"
        label="End the old instance after a move"
        checked={config.autoTerminateEnabled}
        onChange={(event) => configure.mutate({ autoTerminateEnabled: event.currentTarget.checked })}
      />
      <Wait
        seconds={config.terminateWaitSeconds}
        onChange={(terminateWaitSeconds) => configure.mutate({ terminateWaitSeconds })}
      />
      <Switch
        mt="md"
        label="Enabled"
        description="Off is hands off: signals are recorded and told, nothing is done."
        checked={config.enabled}
        onChange={(event) => configure.mutate({ enabled: event.currentTarget.checked })}
      />
      <Refused error={configure.error} what="Not changed" />
    </Card>
  );
}

function Wait({ seconds, onChange }: { seconds: number; onChange: (seconds: number) => void }) {
  const [wanted, setWanted] = useDraft(String(seconds), () => String(seconds));
  const read = numberIn(wanted, { min: 0, max: 86_400, isWhole: true });
  const store = () => {
    if ("value" in read && read.value !== null && read.value !== seconds) onChange(read.value);
  };
  return (
    <TextInput
      mt="md"
      label="Seconds to wait before that"
      description={`now ${span(seconds)}; the old instance is stopped cold and can be gone back to until then`}
      inputMode="numeric"
      value={wanted}
      error={"error" in read ? read.error : null}
      onChange={(event) => setWanted(event.currentTarget.value)}
      onBlur={store}
      onKeyDown={(event) => event.key === "Enter" && store()}
    />
  );
}

function StandbyCost({ cost }: { cost: Schemas["StandbyCostState"] }) {
  return (
    <p className="reason" data-testid="standby-cost">
      With a standing replica: <Usd of={cost.primaryUsd} /> primary + <Usd of={cost.standbyUsd} /> standby +{" "}
      <Usd of={cost.storageUsd} /> disks ={" "}
      <strong>
        <Usd of={cost.totalUsd} />
      </strong>{" "}
      an hour, beside <Usd of={cost.onDemandUsd} /> on demand
      {cost.dearerThanOnDemand === true && <strong className="tag bad"> dearer than on demand</strong>}.
    </p>
  );
}
