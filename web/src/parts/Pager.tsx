import { Button } from "@mantine/core";
import { useState } from "react";

export type Pages = {
  cursor: string | null;
  before: readonly (string | null)[];
  go: (to: Pages["before"]) => void;
};

/** Where a list is read; the cursors of the pages before it lead back. */
export function usePages(): Pages {
  const [trail, setTrail] = useState<readonly (string | null)[]>([null]);
  return { cursor: trail.at(-1) ?? null, before: trail, go: setTrail };
}

export function Pager(props: { pages: Pages; next: string | null; label?: string }) {
  const { pages, next } = props;
  if (pages.before.length === 1 && next === null) return null;
  return (
    <nav className="row" aria-label={props.label ?? "Pages of the list"}>
      {pages.before.length > 1 && (
        <Button size="compact-sm" variant="default" onClick={() => pages.go(pages.before.slice(0, -1))}>
          Back
        </Button>
      )}
      {next !== null && (
        <Button size="compact-sm" variant="default" onClick={() => pages.go([...pages.before, next])}>
          Further
        </Button>
      )}
    </nav>
  );
}
