import { Alert, Button } from "@mantine/core";
import { Refusal } from "../api/client";

export function Loading() {
  return (
    <p className="dim" role="status">
      Loading…
    </p>
  );
}

/** What was refused and why, in the server's words. */
export function Refused({ error, what = "Refused" }: { error: Error | null; what?: string }) {
  if (error === null) return null;
  const title = error instanceof Refusal && error.status === 0 ? "No answer" : what;
  return (
    <Alert color="red" variant="outline" title={title} mt="sm" role="alert" className="refused">
      {error.message}
    </Alert>
  );
}

export function Failed({ error, reset }: { error: unknown; reset: () => void }) {
  return (
    <>
      <title>Not shown · SpotGuard</title>
      <Refused
        error={error instanceof Error ? error : new Error(String(error))}
        what="This page could not be shown"
      />
      <Button mt="sm" variant="default" onClick={reset}>
        Try again
      </Button>
    </>
  );
}

export function NoPage() {
  return (
    <main className="narrow">
      <title>No such page · SpotGuard</title>
      <h1>No such page</h1>
      <a href="/">To the fleet</a>
    </main>
  );
}
