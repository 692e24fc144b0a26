import type { Word } from "../lib/words";

/** A state: its word says it, the colour only helps. */
export function Tag({ word, title }: { word: Word; title?: string | undefined }) {
  return (
    <span className={`tag ${word.tone}`} title={title}>
      {word.text}
    </span>
  );
}
