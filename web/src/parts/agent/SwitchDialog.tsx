import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useAction } from "../../api/changes";
import { api, type Schemas, told } from "../../api/client";
import { PREVIEW_MS } from "../../api/queries";
import { Confirm } from "../Confirm";
import { Loading, Refused } from "../states";
import type { Target } from "./Panel";
import { Preview } from "./Preview";

/** What the move would be and cost, from the server; then the order itself. */
export function SwitchDialog(props: {
  agentId: string;
  instanceId: string;
  target: Target;
  onClose: () => void;
}) {
  const { instanceId, target } = props;
  const navigate = useNavigate();
  const params = { path: { instanceId } };
  const order = useAction(props.agentId, () =>
    told(api.POST("/api/client/instances/{instanceId}/force-switch", { params, body: bodyOf(target) })),
  );
  const preview = usePreview(instanceId, target, order.isIdle || order.isError);
  const where = target.target === "pool" ? target.poolId : "on demand";
  return (
    <Confirm
      title={`Move to ${where}`}
      action="Move it now"
      isOpen
      isPending={order.isPending}
      isReady={preview.isSuccess}
      error={order.error}
      onClose={props.onClose}
      onConfirm={() =>
        order.mutate(undefined, {
          onSuccess: (forced) =>
            navigate({ to: "/switches/$switchId", params: { switchId: forced.switchId } }),
        })
      }
    >
      {preview.isPending && <Loading />}
      <Refused error={preview.error} what="This move is not possible now" />
      {preview.data !== undefined && <Preview move={preview.data} />}
    </Confirm>
  );
}

/** What a move there would be and cost now; asked again while the question stands. */
export function usePreview(instanceId: string, target: Target, isAsking: boolean) {
  const params = { path: { instanceId } };
  return useQuery({
    queryKey: ["preview", instanceId, target],
    queryFn: () =>
      told(
        api.POST("/api/client/instances/{instanceId}/force-switch/preview", { params, body: bodyOf(target) }),
      ),
    retry: false,
    staleTime: 0,
    gcTime: 0,
    refetchInterval: PREVIEW_MS,
    enabled: isAsking,
  });
}

function bodyOf(target: Target): Schemas["ForceSwitch"] {
  return target.target === "pool" ? { target: "pool", poolId: target.poolId } : { target: "ondemand" };
}
