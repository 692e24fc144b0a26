import { Button, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, type Schemas, told } from "../api/client";
import { limitsQuery } from "../api/queries";
import { Refused } from "./states";

type Caps = Schemas["Limits"];
type Texts = Record<keyof Caps, string>;

const LABELS: Record<keyof Caps, string> = {
  maxInstances: "Most instances",
  maxHourlyUsd: "Most USD an hour",
  maxLaunchesPerHour: "Most launches an hour",
};

/** An empty field is no cap. What is not a number is the server's to refuse. */
export function Limits({ limits }: { limits: Caps }) {
  const client = useQueryClient();
  const [texts, setTexts] = useState<Texts>({
    maxInstances: String(limits.maxInstances ?? ""),
    maxHourlyUsd: limits.maxHourlyUsd ?? "",
    maxLaunchesPerHour: String(limits.maxLaunchesPerHour ?? ""),
  });
  const store = useMutation({
    mutationFn: () =>
      told(
        api.PUT("/api/client/limits", {
          body: {
            maxInstances: whole(texts.maxInstances),
            maxHourlyUsd: texts.maxHourlyUsd.trim() === "" ? null : texts.maxHourlyUsd.trim(),
            maxLaunchesPerHour: whole(texts.maxLaunchesPerHour),
          },
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: limitsQuery.queryKey }),
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        store.mutate();
      }}
    >
      <div className="facts">
        {(Object.keys(LABELS) as (keyof Caps)[]).map((name) => (
          <TextInput
            key={name}
            label={LABELS[name]}
            inputMode="decimal"
            placeholder="no cap"
            value={texts[name]}
            onChange={(event) => setTexts({ ...texts, [name]: event.currentTarget.value })}
          />
        ))}
      </div>
      <Button type="submit" variant="default" loading={store.isPending}>
        Store
      </Button>
      <Refused error={store.error} what="Not stored" />
    </form>
  );
}

const whole = (text: string) => (text.trim() === "" ? null : Number(text));
