import { Button, NumberInput, TextInput } from "@mantine/core";
import { useState } from "react";
import { type Change, useConfigure } from "../../api/changes";
import type { Schemas } from "../../api/client";
import type { AgentDetail } from "../../api/queries";
import { Card } from "../Card";
import { Refused } from "../states";

type Config = Schemas["Configuration"];
type Field =
  | "minSavingsPercent"
  | "maxSwitchesPerDay"
  | "maxSwitchesPerWeek"
  | "minPoolHours"
  | "riskThreshold"
  | "restorePointsKept"
  | "restoreDrillDays";

const FIELDS: readonly { name: Field; label: string; max: number; step: number }[] = [
  { name: "minSavingsPercent", label: "Least saving of the present price, %", max: 100, step: 1 },
  { name: "maxSwitchesPerDay", label: "Most voluntary switches a day", max: 100, step: 1 },
  { name: "maxSwitchesPerWeek", label: "Most voluntary switches a week", max: 700, step: 1 },
  { name: "minPoolHours", label: "Least hours in a pool", max: 720, step: 1 },
  { name: "riskThreshold", label: "Highest risk within 6 h, 0 to 1", max: 1, step: 0.05 },
  { name: "restorePointsKept", label: "Restore points kept", max: 30, step: 1 },
  { name: "restoreDrillDays", label: "Days between restore drills, 0: none", max: 90, step: 1 },
];

/** Limits that dispose of what a policy proposes; stored together. */
export function GuardRails({ agent }: { agent: AgentDetail }) {
  const configure = useConfigure(agent.id);
  return (
    <Card title="Guard-rails">
      <Form
        key={valuesOf(agent.config)}
        config={agent.config}
        isPending={configure.isPending}
        onStore={(change) => configure.mutate(change)}
      />
      <Refused error={configure.error} what="Not changed" />
    </Card>
  );
}

function Form(props: { config: Config; isPending: boolean; onStore: (change: Change) => void }) {
  const { config } = props;
  const [numbers, setNumbers] = useState<Record<Field, number | string>>(() => numbersOf(config));
  const [types, setTypes] = useState(config.allowedInstanceTypes.join(", "));
  const [azs, setAzs] = useState(config.allowedAzs.join(", "));
  const [cap, setCap] = useState(config.maxHourlyUsd ?? "");
  const [minute, setMinute] = useState(config.minuteValueUsd ?? "");
  const change = changeOf(config, numbers, { types, azs, cap, minute });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        props.onStore(change);
      }}
    >
      <div className="facts">
        {FIELDS.map((field) => (
          <NumberInput
            key={field.name}
            label={field.label}
            min={0}
            max={field.max}
            step={field.step}
            value={numbers[field.name]}
            onChange={(value) => setNumbers({ ...numbers, [field.name]: value })}
            hideControls
          />
        ))}
        <TextInput
          label="Dearest an hour, USD; empty: no cap"
          value={cap}
          onChange={(event) => setCap(event.currentTarget.value)}
        />
        <TextInput
          label="A minute of downtime is worth, USD; empty: it has no state to lose"
          value={minute}
          onChange={(event) => setMinute(event.currentTarget.value)}
        />
        <TextInput
          label="Allowed types; empty: only its own"
          value={types}
          onChange={(event) => setTypes(event.currentTarget.value)}
        />
        <TextInput
          label="Allowed zones; empty: all of the region"
          value={azs}
          onChange={(event) => setAzs(event.currentTarget.value)}
        />
      </div>
      <Button type="submit" variant="default" loading={props.isPending}>
        Store
      </Button>
    </form>
  );
}

const numbersOf = (config: Config) =>
  Object.fromEntries(FIELDS.map(({ name }) => [name, config[name]])) as Record<Field, number>;

/** The form begins anew when one of its own values was stored, not when another part of the configuration was. */
const valuesOf = (config: Config) =>
  JSON.stringify([
    numbersOf(config),
    config.maxHourlyUsd,
    config.minuteValueUsd,
    config.allowedInstanceTypes,
    config.allowedAzs,
  ]);

const listOf = (text: string) => text.split(/[\s,]+/).filter((one) => one !== "");

/** Only what differs: somebody else may have stored the rest meanwhile. */
function changeOf(
  config: Config,
  numbers: Record<Field, number | string>,
  texts: { types: string; azs: string; cap: string; minute: string },
): Change {
  const change: Change = {};
  for (const { name } of FIELDS) {
    const value = numbers[name];
    if (typeof value === "number" && value !== config[name]) change[name] = value;
  }
  const types = listOf(texts.types);
  const azs = listOf(texts.azs);
  if (types.join() !== config.allowedInstanceTypes.join()) change.allowedInstanceTypes = types;
  if (azs.join() !== config.allowedAzs.join()) change.allowedAzs = azs;
  const cap = texts.cap.trim();
  if (cap !== (config.maxHourlyUsd ?? "")) change.maxHourlyUsd = cap === "" ? null : cap;
  const minute = texts.minute.trim();
  if (minute !== (config.minuteValueUsd ?? "")) change.minuteValueUsd = minute === "" ? null : minute;
  return change;
}
