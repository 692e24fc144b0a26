import type { Schemas } from "../api/client";
import { Facts } from "./Facts";
import { UNKNOWN, When } from "./figures";

type Told = Schemas["ModelState"];

/** Whose risks decide, and how the model on trial does on this tenant's own outcomes. */
export function Models({ of: { policy, risk, active, shadow } }: { of: Told }) {
  return (
    <>
      <Facts
        of={[
          ["Policy that decides", policy],
          ["Risk model", risk ?? "none may be asked: no voluntary move is made"],
          ...(active === null
            ? []
            : ([
                ["Judges since", <When key="a" at={active.since} />],
                ["Registered", <When key="r" at={active.registeredAt} />],
              ] as const)),
          ["On trial in shadow", shadow === null ? "none" : shadow.name],
        ]}
      />
      {active?.flaw && <p>{active.flaw}</p>}
      {shadow !== null && <Trial of={shadow} present={risk} />}
    </>
  );
}

function Trial({ of, present }: { of: Schemas["TrialState"]; present: string | null }) {
  return (
    <>
      <Facts
        of={[
          ["On trial since", <When key="s" at={of.since} />],
          ["Hours whose outcome is known", `${of.outcomes}, ${of.falls} of them falls, on ${of.days} days`],
          [`Brier score of ${of.name}`, <Score key="n" of={of.shadowBrier} />],
          [`Brier score of ${present ?? "the present one"}`, <Score key="p" of={of.presentBrier} />],
          ["Its choices that are stored", `${of.choices}, ${of.choicesDiffering} differ`],
        ]}
      />
      <p>{of.flaw ?? of.because}</p>
    </>
  );
}

/** Mean squared error of probabilities: less is better. */
function Score({ of }: { of: number | null }) {
  return of === null ? (
    UNKNOWN
  ) : (
    <span className="number" data-exact={of}>
      {of.toFixed(5)}
    </span>
  );
}
