import { usdText } from "../lib/money";
import { localDay, localTime, utcTime } from "../lib/time";

export const UNKNOWN = <span className="dim">unknown</span>;

/** Rounded for reading; the exact figure of the API is its title. */
export function Usd({ of, places = 4 }: { of: string | null | undefined; places?: number }) {
  if (of === null || of === undefined) return UNKNOWN;
  return (
    <span className="number" title={`$${of}`} data-exact={of}>
      {usdText(of, places)}
    </span>
  );
}

export function Percent({ of, places = 1 }: { of: number | null | undefined; places?: number }) {
  if (of === null || of === undefined) return UNKNOWN;
  return (
    <span className="number" data-exact={of}>
      {signed(of.toFixed(places))} %
    </span>
  );
}

/** What is rounded to nothing has no sign. */
const signed = (digits: string) =>
  Number(digits) === 0 ? digits.replace("-", "") : digits.replace("-", "−");

/** In the viewer's zone; UTC on hover. */
export function When({ at, never = "unknown" }: { at: string | null | undefined; never?: string }) {
  if (at === null || at === undefined) return <span className="dim">{never}</span>;
  return (
    <time dateTime={at} title={utcTime(at)}>
      {localTime(at)}
    </time>
  );
}

export function Day({ at }: { at: string }) {
  return (
    <time dateTime={at} title={utcTime(at)}>
      {localDay(at)}
    </time>
  );
}
