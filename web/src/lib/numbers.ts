/** A number field's bounds, as it shows them. */
export type Bounds = { min: number; max: number; isWhole?: boolean; decimals?: 2 | 6; mayBeEmpty?: boolean };

const DECIMALS = {
  2: { words: "two", text: /^\d+(\.\d{1,2})?$/ },
  6: { words: "six", text: /^\d+(\.\d{1,6})?$/ },
};

/** What was typed, or the sentence that refuses it: nothing is bent to fit. Empty is null where it may be. */
export function numberIn(typed: string, bounds: Bounds): { value: number | null } | { error: string } {
  const text = typed.trim();
  if (text === "" && bounds.mayBeEmpty) return { value: null };
  const value = Number(text);
  const decimals = DECIMALS[bounds.decimals ?? 2];
  const isPlain = (bounds.isWhole ? /^\d+$/ : decimals.text).test(text);
  if (isPlain && value >= bounds.min && value <= bounds.max) return { value };
  const kind = bounds.isWhole ? "a whole number" : `a number of at most ${decimals.words} decimals`;
  return {
    error: `${kind} from ${bounds.min} to ${bounds.max}${bounds.mayBeEmpty ? ", or empty" : ""}; nothing is stored`,
  };
}
