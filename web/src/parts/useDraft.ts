import { useState } from "react";

/** What is typed, until that which it began from (`key`) changes; unlike a `key` of React it leaves the focus alone. */
export function useDraft<T>(key: string, fresh: () => T): [T, (draft: T) => void] {
  const [held, hold] = useState(() => ({ key, draft: fresh() }));
  const now = held.key === key ? held : { key, draft: fresh() };
  if (now !== held) hold(now);
  return [now.draft, (draft) => hold({ key, draft })];
}
