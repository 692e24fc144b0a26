import type { AgentDetail } from "../../api/queries";
import { When } from "../figures";

type LostState = NonNullable<AgentDetail["lostState"]>;

/** What a dead holder's volume has that who serves now lacks or has older, and whether it is still there. */
export function Lost({ lost }: { lost: LostState }) {
  const volume = <span className="mono">{lost.volumeId ?? "that has the state"}</span>;
  if (lost.files === 0) {
    return (
      <p className="reason">
        The dead instance&apos;s volume {volume} has no file that is lacking here, or older here, by path,
        time and size; what is in the files was not compared.
      </p>
    );
  }
  return (
    <p className="reason">
      {lost.files === null ? (
        <>
          The dead instance&apos;s volume {volume}: {lost.status}
        </>
      ) : (
        <>
          The dead instance&apos;s volume {volume} has {lost.files} files ({lost.bytes} bytes) that are
          lacking or older here, the newest of <When at={lost.newestAt} />
        </>
      )}
      {lost.because !== null && `: ${lost.because}`}
      {lost.status === "failed" && "; what the dead instance left is kept until a person deletes it"}
      {lost.volumeDeletedAt === null ? (
        lost.status === "offered" && <Recovering until={lost.keptUntil} />
      ) : (
        <>
          ; the volume was deleted <When at={lost.volumeDeletedAt} />
        </>
      )}
      .
    </p>
  );
}

function Recovering({ until }: { until: string | null }) {
  return (
    <>
      ; recover them by hand from a copy of it (a snapshot, a volume of that, mounted read-only): it is kept
      until{" "}
      {until === null ? (
        "a person deletes it"
      ) : (
        <>
          <When at={until} />, then deleted
        </>
      )}
    </>
  );
}
