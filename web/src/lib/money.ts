const DECIMALS = 6;
const SCALE = 10n ** BigInt(DECIMALS);

/** Millionths of a dollar: sums on the screen are exact, as the API's decimal strings are. */
export function micros(usd: string): bigint {
  const negative = usd.startsWith("-");
  const [whole = "0", part = ""] = (negative ? usd.slice(1) : usd).split(".");
  const value = BigInt(whole) * SCALE + BigInt(part.padEnd(DECIMALS, "0").slice(0, DECIMALS));
  return negative ? -value : value;
}

/** "0.0312" of "0.031200" with 4 places: rounded half away from zero, never through a float. */
export function usdText(usd: string, places: number): string {
  const value = micros(usd);
  const step = 10n ** BigInt(DECIMALS - places);
  const size = ((value < 0n ? -value : value) + step / 2n) / step;
  const digits = size.toString().padStart(places + 1, "0");
  const text = places === 0 ? digits : `${digits.slice(0, -places)}.${digits.slice(-places)}`;
  return value < 0n && size !== 0n ? `−$${text}` : `$${text}`;
}

export function fromMicros(value: bigint): string {
  const size = (value < 0n ? -value : value).toString().padStart(DECIMALS + 1, "0");
  return `${value < 0n ? "-" : ""}${size.slice(0, -DECIMALS)}.${size.slice(-DECIMALS)}`;
}

/** "0.5" of "0.500000", "0" of "0.000000": as one would type it. */
export const shortest = (usd: string) =>
  usd.includes(".") ? usd.replace(/0+$/, "").replace(/\.$/, "") : usd;

/** Not by rounding: "0.0000001" is something. */
export const isNothing = (usd: string) => shortest(usd) === "0";

/** Null where nothing can be said: of nothing there is no share. */
export function savedPercent(actual: bigint, onDemand: bigint): number | null {
  return onDemand === 0n ? null : Number(((onDemand - actual) * 10_000n) / onDemand) / 100;
}
