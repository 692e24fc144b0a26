import type { Control } from "../api/queries";

/** Why an order would be refused now, in the server's words; nothing while it would be taken or nobody has said. */
export function WhyNot({ control, what }: { control: Control | null | undefined; what: string }) {
  if (!isBarred(control)) return null;
  return (
    <p className="reason">
      {what}: {control?.because}
    </p>
  );
}

/** Only the server bars a control: until it has answered, a click asks it. */
export const isBarred = (control: Control | null | undefined) => control?.allowed === false;
