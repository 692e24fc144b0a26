import { TextInput } from "@mantine/core";
import { type Change, useConfigure } from "../../api/changes";
import type { Schemas } from "../../api/client";
import type { AgentDetail } from "../../api/queries";
import { type Bounds, numberIn } from "../../lib/numbers";
import { Card } from "../Card";
import { OrderButton } from "../OrderButton";
import { Refused } from "../states";
import { useDraft } from "../useDraft";

type Config = Schemas["Configuration"];
type Field =
  | "minSavingsPercent"
  | "maxSwitchesPerDay"
  | "maxSwitchesPerWeek"
  | "minPoolHours"
  | "riskThreshold"
  | "restorePointHours"
  | "restorePointsKept"
  | "restoreDrillDays"
  | "fenceAfterMinutes";
type NumberField = Bounds & { name: Field; label: string; perUnit?: number };

const COUNT = { min: 0, isWhole: true } as const;

/** `perUnit`: how many of the field's units are one of the API's. */
const FIELDS: readonly NumberField[] = [
  { name: "minSavingsPercent", label: "Least saving of the present price, %", min: 0, max: 100 },
  { ...COUNT, name: "maxSwitchesPerDay", label: "Most voluntary switches a day", max: 100 },
  { ...COUNT, name: "maxSwitchesPerWeek", label: "Most voluntary switches a week", max: 700 },
  { name: "minPoolHours", label: "Least hours in a pool", min: 0, max: 720 },
  { name: "riskThreshold", label: "Highest risk within 6 h, %", min: 0, max: 100, perUnit: 100 },
  {
    name: "restorePointHours",
    label: "Hours between restore points; empty: none",
    min: 1,
    max: 720,
    isWhole: true,
    mayBeEmpty: true,
  },
  { name: "restorePointsKept", label: "Restore points kept", min: 1, max: 30, isWhole: true },
  { ...COUNT, name: "restoreDrillDays", label: "Days between restore drills, 0: none", max: 90 },
  {
    name: "fenceAfterMinutes",
    label: "Minutes until a primary that hangs is ended; empty: never",
    min: 3,
    max: 1440,
    isWhole: true,
    mayBeEmpty: true,
  },
];

/** Limits that dispose of what a policy proposes; stored together. */
export function GuardRails({ agent }: { agent: AgentDetail }) {
  const configure = useConfigure(agent.id);
  return (
    <Card title="Guard-rails">
      <Form
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
  const [draft, setDraft] = useDraft(valuesOf(config), () => draftOf(config));
  const wrong = FIELDS.some((field) => "error" in numberIn(draft.numbers[field.name], field));
  const change = changeOf(config, draft);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!wrong) props.onStore(change);
      }}
    >
      <div className="facts">
        {FIELDS.map((field) => (
          <TextInput
            key={field.name}
            label={field.label}
            inputMode="decimal"
            value={draft.numbers[field.name]}
            error={errorOf(draft.numbers[field.name], field)}
            onChange={(event) =>
              setDraft({ ...draft, numbers: { ...draft.numbers, [field.name]: event.currentTarget.value } })
            }
          />
        ))}
        <TextInput
          label="Most USD an hour of all that runs for it, old and new of a move together; empty: no cap"
          value={draft.cap}
          onChange={(event) => setDraft({ ...draft, cap: event.currentTarget.value })}
        />
        <TextInput
          label="A minute of downtime is worth, USD; empty: ten times what it costs on demand"
          value={draft.minute}
          onChange={(event) => setDraft({ ...draft, minute: event.currentTarget.value })}
        />
        <TextInput
          label="Allowed types; empty: only the one on which it runs now"
          value={draft.types}
          onChange={(event) => setDraft({ ...draft, types: event.currentTarget.value })}
        />
        <TextInput
          label="Allowed zones; empty: all of the region"
          value={draft.azs}
          onChange={(event) => setDraft({ ...draft, azs: event.currentTarget.value })}
        />
        <TextInput
          label="Security group of a rehearsed clone, sg-…; empty: no restore drill by schedule"
          value={draft.group}
          onChange={(event) => setDraft({ ...draft, group: event.currentTarget.value })}
        />
      </div>
      <OrderButton type="submit" variant="default" disabled={wrong} isPending={props.isPending}>
        Store
      </OrderButton>
    </form>
  );
}

function errorOf(typed: string, field: NumberField): string | null {
  const read = numberIn(typed, field);
  return "error" in read ? read.error : null;
}

const shown = (value: number | null, { perUnit = 1 }: NumberField) =>
  value === null ? "" : String(Number((value * perUnit).toFixed(2)));

const textsOf = (config: Config) =>
  Object.fromEntries(FIELDS.map((field) => [field.name, shown(config[field.name], field)])) as Record<
    Field,
    string
  >;

type Draft = {
  numbers: Record<Field, string>;
  types: string;
  azs: string;
  cap: string;
  minute: string;
  group: string;
};

const draftOf = (config: Config): Draft => ({
  numbers: textsOf(config),
  types: config.allowedInstanceTypes.join(", "),
  azs: config.allowedAzs.join(", "),
  cap: config.maxHourlyUsd ?? "",
  minute: config.minuteValueUsd ?? "",
  group: config.quarantineGroup ?? "",
});

/** The form begins anew when one of its own values was stored, not when another part of the configuration was. */
const valuesOf = (config: Config) =>
  JSON.stringify([
    textsOf(config),
    config.quarantineGroup,
    config.maxHourlyUsd,
    config.minuteValueUsd,
    config.allowedInstanceTypes,
    config.allowedAzs,
  ]);

const listOf = (text: string) => text.split(/[\s,]+/).filter((one) => one !== "");

/** Only what differs: somebody else may have stored the rest meanwhile. */
function changeOf(config: Config, { numbers, ...texts }: Draft): Change {
  const change: Change = {};
  for (const field of FIELDS) {
    const read = numberIn(numbers[field.name], field);
    if ("error" in read || numbers[field.name].trim() === shown(config[field.name], field)) continue;
    Object.assign(change, { [field.name]: stored(read.value, field) });
  }
  const types = listOf(texts.types);
  const azs = listOf(texts.azs);
  if (types.join() !== config.allowedInstanceTypes.join()) change.allowedInstanceTypes = types;
  if (azs.join() !== config.allowedAzs.join()) change.allowedAzs = azs;
  const cap = texts.cap.trim();
  if (cap !== (config.maxHourlyUsd ?? "")) change.maxHourlyUsd = cap === "" ? null : cap;
  const minute = texts.minute.trim();
  if (minute !== (config.minuteValueUsd ?? "")) change.minuteValueUsd = minute === "" ? null : minute;
  const group = texts.group.trim();
  if (group !== (config.quarantineGroup ?? "")) change.quarantineGroup = group === "" ? null : group;
  return change;
}

const stored = (value: number | null, { perUnit = 1 }: NumberField) =>
  value === null ? null : Number((value / perUnit).toFixed(4));
