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
        lost.status === "offered" && "; recover them by hand within a day of the death: docs/drills.md"
      ) : (
        <>
          ; the volume was deleted <When at={lost.volumeDeletedAt} />
        </>
      )}
      .
    </p>
  );
}
