import { NativeSelect, TextInput } from "@mantine/core";
import { type Change, useConfigure } from "../../api/changes";
import type { Schemas } from "../../api/client";
import type { AgentDetail } from "../../api/queries";
import { type Bounds, numberIn } from "../../lib/numbers";
import { Card } from "../Card";
import { OrderButton } from "../OrderButton";
import { Refused } from "../states";
import { useDraft } from "../useDraft";

type Wanted = NonNullable<Change["traffic"]>;
type Driver = Wanted["driver"];
type Stored = Schemas["Traffic"] | null;
type Name = Exclude<keyof Schemas["Traffic"], "driver">;
type Member = { name: Name; label: string; initial?: string; number?: Bounds; oneOf?: readonly string[] };

const SECONDS = { min: 1, max: 3600, isWhole: true } as const;

/** What each route needs; a route that the API gains and this page has no form for does not compile. */
const ROUTES: Record<Driver, { label: string; members: readonly Member[] }> = {
  "target-group": {
    label: "a load balancer's target group",
    members: [
      { name: "arn", label: "Its ARN" },
      { name: "port", label: "Port", number: { min: 1, max: 65_535, isWhole: true } },
      {
        name: "healthSeconds",
        label: "Seconds until it finds a target healthy: check interval × threshold",
        initial: "150",
        number: SECONDS,
      },
    ],
  },
  "elastic-ip": {
    label: "an Elastic IP",
    members: [{ name: "allocationId", label: "Its allocation, eipalloc-…" }],
  },
  dns: {
    label: "an A record in Route 53",
    members: [
      { name: "zoneId", label: "Id of the hosted zone" },
      { name: "name", label: "Name of the record" },
      { name: "ttlSeconds", label: "Its time to live, seconds", initial: "60", number: SECONDS },
      {
        name: "address",
        label: "Address that it tells",
        initial: "private",
        oneOf: ["private", "public"],
      },
    ],
  },
  "private-ip": {
    label: "a secondary private address",
    members: [{ name: "address", label: "The address" }],
  },
  script: {
    label: "a script of the agent's own settings",
    members: [
      {
        name: "expectedSeconds",
        label: "Seconds that it is expected to take",
        initial: "15",
        number: { ...SECONDS, min: 0 },
      },
    ],
  },
};
const NONE = "none";
const CHOICES = [
  { value: NONE, label: "no route: clients find it by themselves" },
  ...Object.entries(ROUTES).map(([value, { label }]) => ({ value, label })),
];

/** How clients come along when the workload moves. */
export function Route({ agent }: { agent: AgentDetail }) {
  const configure = useConfigure(agent.id);
  const stored = agent.config.traffic;
  return (
    <Card title="Clients">
      <p className="reason">How they come along when the workload moves, after the new instance serves.</p>
      <Form
        stored={stored}
        isPending={configure.isPending}
        onStore={(traffic) => configure.mutate({ traffic })}
      />
      <Refused error={configure.error} what="Not changed" />
    </Card>
  );
}

type Draft = { driver: Driver | typeof NONE; typed: Partial<Record<Name, string>> };

function Form(props: { stored: Stored; isPending: boolean; onStore: (wanted: Wanted | null) => void }) {
  const { stored } = props;
  const [{ driver, typed }, setDraft] = useDraft<Draft>(JSON.stringify(stored), () => ({
    driver: (stored?.driver as Driver) ?? NONE,
    typed: {},
  }));
  const type = (name: Name, text: string) => setDraft({ driver, typed: { ...typed, [name]: text } });
  const members = driver === NONE ? [] : ROUTES[driver].members;
  const textOf = (member: Member) => typed[member.name] ?? initialOf(member, driver, stored);
  const wrong = members.some((member) => textOf(member).trim() === "" || errorOf(member, textOf(member)));
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!wrong) props.onStore(driver === NONE ? null : routeOf(driver, members, textOf));
      }}
    >
      <NativeSelect
        label="Route"
        value={driver}
        data={CHOICES}
        onChange={(event) => setDraft({ driver: event.currentTarget.value as Draft["driver"], typed: {} })}
      />
      {members.map((member) =>
        member.oneOf === undefined ? (
          <TextInput
            key={member.name}
            label={member.label}
            value={textOf(member)}
            error={errorOf(member, textOf(member))}
            onChange={(event) => type(member.name, event.currentTarget.value)}
          />
        ) : (
          <NativeSelect
            key={member.name}
            label={member.label}
            value={textOf(member)}
            data={[...member.oneOf]}
            onChange={(event) => type(member.name, event.currentTarget.value)}
          />
        ),
      )}
      <OrderButton mt="sm" type="submit" variant="default" disabled={wrong} isPending={props.isPending}>
        Store the route
      </OrderButton>
    </form>
  );
}

function initialOf(member: Member, driver: string, stored: Stored): string {
  const there = stored?.driver === driver ? stored[member.name] : null;
  return there === null || there === undefined ? (member.initial ?? "") : String(there);
}

function errorOf(member: Member, text: string): string | null {
  if (member.number === undefined || text.trim() === "") return null;
  const read = numberIn(text, member.number);
  return "error" in read ? read.error : null;
}

/** The server judges the rest: its refusal names the member. */
const routeOf = (driver: Driver, members: readonly Member[], textOf: (member: Member) => string) =>
  Object.fromEntries([
    ["driver", driver],
    ...members.map((one) => [one.name, one.number ? Number(textOf(one)) : textOf(one).trim()]),
  ]) as Wanted;
