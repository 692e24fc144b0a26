import { TextInput } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useOrder } from "../api/changes";
import { api, type Schemas, told } from "../api/client";
import { limitsQuery } from "../api/queries";
import { numberIn } from "../lib/numbers";
import { OrderButton } from "./OrderButton";
import { Refused } from "./states";
import { useDraft } from "./useDraft";

type Caps = Schemas["Limits"];
type Texts = Record<keyof Caps, string>;

const LABELS: Record<keyof Caps, string> = {
  maxInstances: "Most instances",
  maxHourlyUsd: "Most USD an hour",
  maxLaunchesPerHour: "Most launches an hour",
};

const NAMES = Object.keys(LABELS) as (keyof Caps)[];
const BOUNDS = { min: 0, max: 2 ** 31 - 1, isWhole: true, mayBeEmpty: true };

/** Of the counts; what is no sum of money is the server's to refuse. */
function errorOf(name: keyof Caps, text: string): string | null {
  if (name === "maxHourlyUsd") return null;
  const read = numberIn(text, BOUNDS);
  return "error" in read ? read.error : null;
}

/** An empty field is no cap; one that is wrong is told, and nothing is stored. */
export function Limits({ limits }: { limits: Caps }) {
  const client = useQueryClient();
  const [texts, setTexts] = useDraft<Texts>(JSON.stringify(limits), () => textsOf(limits));
  const store = useOrder({
    mutationFn: () => told(api.PUT("/api/client/limits", { body: changeOf(limits, texts) })),
    onSettled: () => client.invalidateQueries({ queryKey: limitsQuery.queryKey }),
  });
  const isRight = NAMES.every((name) => errorOf(name, texts[name]) === null);
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (isRight) store.mutate();
      }}
    >
      <div className="facts">
        {NAMES.map((name) => (
          <TextInput
            key={name}
            label={LABELS[name]}
            inputMode="decimal"
            placeholder="no cap"
            value={texts[name]}
            error={errorOf(name, texts[name])}
            onChange={(event) => setTexts({ ...texts, [name]: event.currentTarget.value })}
          />
        ))}
      </div>
      <OrderButton type="submit" variant="default" isPending={store.isPending} disabled={!isRight}>
        Store
      </OrderButton>
      <Refused error={store.error} what="Not stored" />
    </form>
  );
}

const textsOf = (limits: Caps): Texts => ({
  maxInstances: String(limits.maxInstances ?? ""),
  maxHourlyUsd: limits.maxHourlyUsd ?? "",
  maxLaunchesPerHour: String(limits.maxLaunchesPerHour ?? ""),
});

/** Only what differs from what was read: a cap that somebody else has set meanwhile stays. */
function changeOf(limits: Caps, texts: Texts): Schemas["LimitsChange"] {
  const before = textsOf(limits);
  const differs = (name: keyof Caps) => texts[name].trim() !== before[name];
  return {
    ...(differs("maxInstances") && { maxInstances: whole(texts.maxInstances) }),
    ...(differs("maxHourlyUsd") && {
      maxHourlyUsd: texts.maxHourlyUsd.trim() === "" ? null : texts.maxHourlyUsd.trim(),
    }),
    ...(differs("maxLaunchesPerHour") && { maxLaunchesPerHour: whole(texts.maxLaunchesPerHour) }),
  };
}

const whole = (text: string) => (text.trim() === "" ? null : Number(text));
