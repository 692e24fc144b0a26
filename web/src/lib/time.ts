const LOCAL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const LOCAL_DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const HOUR = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const SHORT_DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

export const localTime = (at: string) => LOCAL.format(new Date(at));
export const localDay = (at: string) => LOCAL_DAY.format(new Date(at));
/** Of seconds since 1970. */
export const hourOf = (seconds: number) => HOUR.format(seconds * 1000);
export const dayOf = (seconds: number) => SHORT_DAY.format(seconds * 1000);
export const utcTime = (at: string) => `${at.slice(0, 19).replace("T", " ")} UTC`;

const UNITS: readonly [number, string][] = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
];

/** "2 min 5 s", "3 h", "0.4 s": two units at the most. */
export function span(told: number): string {
  const seconds = told < 60 ? Number(told.toFixed(1)) : told; // 59.97 s are a minute
  if (seconds < 60) return `${Number.isInteger(seconds) ? seconds : seconds.toFixed(1)} s`;
  const index = UNITS.findIndex(([size]) => seconds >= size);
  const [size, name] = UNITS[index] ?? [60, "min"];
  const whole = Math.floor(seconds / size);
  const rest = seconds - whole * size;
  const [smaller, smallerName] = UNITS[index + 1] ?? [1, "s"];
  const more = Math.floor(rest / smaller);
  return more > 0 ? `${whole} ${name} ${more} ${smallerName}` : `${whole} ${name}`;
}

export const secondsBetween = (from: string, to: string) => (Date.parse(to) - Date.parse(from)) / 1000;

/** "2026-03-01" of "2026-02-28", whatever the viewer's zone does that night; what is no day of ours stays as it is. */
export function dayAfter(day: string): string {
  const next = Date.parse(`${day}T00:00:00Z`) + 86_400_000;
  return Number.isNaN(next) ? day : new Date(next).toISOString().slice(0, 10);
}
