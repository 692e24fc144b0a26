import { TextInput } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { useOrder } from "../api/changes";
import { api, errorAt, type Schemas, told } from "../api/client";
import { probesKey, probesQuery } from "../api/queries";
import { isNothing, shortest } from "../lib/money";
import { type Bounds, numberIn } from "../lib/numbers";
import { Card } from "./Card";
import { Facts } from "./Facts";
import { Usd } from "./figures";
import { OrderButton } from "./OrderButton";
import { Loading, Refused } from "./states";
import { Tag } from "./Tag";
import { useDraft } from "./useDraft";

/** Those of the API. */
const BOUNDS: Bounds = { min: 0, max: 9999.999999, decimals: 6 };

/** What probes may cost in a day, what they cost today, and what that buys. */
export function CapacityProbes() {
  const { data, error } = useQuery(probesQuery(null));
  return (
    <Card title="Capacity probes">
      <p className="reason">
        A probe launches an instance in a spot pool only to learn whether EC2 gives one now, and ends it at
        once. It costs a minute's price of the pool where EC2 gives one, nothing where it refuses. Probes are
        off until a budget is set; a server with this tenant's AWS account makes them.
      </p>
      <details>
        <summary>What a budget buys</summary>
        <p className="reason">
          Knowledge of pools that nobody has tried: the one whose calm would gain the agents most is looked
          at, one at a time, where knowing it is worth more than the looks cost. Real launches come first.
        </p>
        <p className="reason">
          Where the budget pays for a look at a pool every hour and looks are answered, an agent whose minute
          of downtime is dear stays on demand until a pool has proven itself. It is an insurance against
          storms, paid while it is calm.
        </p>
      </details>
      <Refused error={error} what="The budget could not be read" />
      {data === undefined ? error === null && <Loading /> : <Budget probes={data} />}
    </Card>
  );
}

function Budget({ probes }: { probes: Schemas["Probes"] }) {
  const isOff = isNothing(probes.usdPerDay);
  const off = <Tag word={{ text: "off", tone: "calm" }} title="0 USD a day: nothing is probed" />;
  return (
    <>
      <Facts
        of={[
          ["Budget of a day (UTC)", isOff ? off : <Usd key="b" of={probes.usdPerDay} />],
          ["Spent since midnight UTC", <Usd key="s" of={probes.spentUsd} />],
        ]}
      />
      <Form usdPerDay={probes.usdPerDay} isOff={isOff} />
    </>
  );
}

/** Zero is stored by a button of its own, too; what is refused is told at the field. */
function Form({ usdPerDay, isOff }: { usdPerDay: string; isOff: boolean }) {
  const client = useQueryClient();
  const field = useRef<HTMLInputElement>(null);
  const [text, setText] = useDraft(usdPerDay, () => shortest(usdPerDay));
  const [sent, setSent] = useState<string | null>(null);
  const store = useOrder<Schemas["Probes"], string>({
    mutationFn: (usd) => told(api.PUT("/api/client/probes", { body: { usdPerDay: usd } })),
    onSettled: () => client.invalidateQueries({ queryKey: probesKey }),
  });
  const order = (usd: string) => {
    setSent(usd);
    store.mutate(usd);
  };
  const read = numberIn(text, BOUNDS);
  const wrong = "error" in read ? read.error : null;
  const refused = errorAt(store.error, "/usdPerDay");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (wrong === null) order(text.trim());
      }}
    >
      <TextInput
        ref={field}
        label="Most USD a day; 0: none"
        inputMode="decimal"
        maw="16rem"
        mb="xs"
        value={text}
        error={wrong ?? (sent === text.trim() ? refused : null)}
        onChange={(event) => setText(event.currentTarget.value)}
      />
      <div className="row">
        <OrderButton type="submit" variant="default" isPending={store.isPending} disabled={wrong !== null}>
          Store
        </OrderButton>
        {!isOff && (
          <OrderButton
            type="button"
            variant="outline"
            color="red"
            isPending={store.isPending}
            onClick={() => {
              field.current?.focus(); // the button goes once they are off
              setText("0");
              order("0");
            }}
          >
            Turn off
          </OrderButton>
        )}
      </div>
      <Refused error={refused === null ? store.error : null} what="Not stored" />
    </form>
  );
}
