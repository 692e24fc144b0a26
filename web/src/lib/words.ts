import type { Schemas } from "../api/client";

export type Tone = "good" | "warn" | "bad" | "info" | "calm";
export type Word = { text: string; tone: Tone };

const word = (text: string, tone: Tone): Word => ({ text, tone });

/** Every map is total over the contract's states: a new one does not compile until it has its word. */
export const AGENT_STATUS: Record<Schemas["AgentStatus"], Word> = {
  online: word("online", "good"),
  offline: word("offline", "bad"),
  switching: word("switching", "info"),
  deleted: word("deleted", "calm"),
};

export const HEALTH: Record<Schemas["AgentState"]["health"], Word> = {
  healthy: word("healthy", "good"),
  unhealthy: word("unhealthy", "bad"),
  silent: word("silent", "bad"),
  unknown: word("unknown", "calm"),
  deleted: word("deleted", "calm"),
};

export const REPLICA_STATUS: Record<Schemas["ReplicaStatus"], Word> = {
  launching: word("launching", "info"),
  syncing: word("syncing", "info"),
  ready: word("ready", "good"),
  promoted: word("promoted", "good"),
  terminated: word("terminated", "calm"),
  failed: word("failed", "bad"),
};

export const REPLICA_TYPE: Record<Schemas["ReplicaType"], string> = {
  manual: "standing",
  "automatic-rebalance": "for a rebalance recommendation",
  "automatic-termination": "emergency",
};

export const SYNC_STATUS: Record<Schemas["SyncStatus"], Word> = {
  initializing: word("initializing", "info"),
  syncing: word("syncing", "info"),
  synced: word("in sync", "good"),
  "out-of-sync": word("out of sync", "bad"),
};

export const SWITCH_STATUS: Record<Schemas["SwitchStatus"], Word> = {
  preparing: word("preparing", "info"),
  committed: word("committed", "info"),
  completed: word("completed", "good"),
  unwound: word("unwound", "warn"),
  failed: word("failed", "bad"),
};

export const TRIGGER: Record<Schemas["Trigger"], string> = {
  auto_switch: "automatic",
  manual: "by hand",
  emergency: "emergency",
  rebalance: "notice after rebalance",
};

export const MOVE_KIND: Record<Schemas["MoveKind"], { text: string; means: string }> = {
  synced: {
    text: "synced",
    means:
      "the workload serves on while a standby gets the state; the last delta travels while it is stopped",
  },
  volume: { text: "volume", means: "the volume is detached here and attached there" },
  image: { text: "image", means: "the workload stops first, then an image of it is made and launched" },
  snapshot: { text: "snapshot", means: "a dead holder's volume is snapshotted for another zone" },
};

/** What is otherwise where nobody was there to hand over. */
const RECOVERED: Partial<Record<Schemas["MoveKind"], string>> = {
  synced: "the standby is promoted with its newest complete pass",
  volume: "the dead holder's volume is attached to a new instance",
};

export function means(move: { kind: Schemas["MoveKind"]; isRecovery: boolean }): string {
  return (move.isRecovery ? RECOVERED[move.kind] : undefined) ?? MOVE_KIND[move.kind].means;
}

export const STEP: Record<Schemas["Step"], string> = {
  decided: "decided",
  launched: "new instance launched",
  enrolled: "its agent has registered",
  synced: "a complete pass has reached it",
  gate_closed: "workload stopped on the old instance",
  delta_sent: "last pass complete",
  imaged: "image available",
  snapshotted: "snapshot complete",
  volumes_moved: "volume attached to the new instance",
  released: "old instance has let go",
  granted: "new instance may serve",
  opened: "workload serves on the new instance",
  traffic_moved: "clients reach it",
  verified: "verified healthy",
  old_ended: "old instance ended",
  pruned: "leftovers deleted",
};

export const WHEN_LATE: Record<Schemas["WhenLate"], string> = {
  unwind: "given up: the old instance serves on",
  forward: "goes on without it",
  other_way: "another way to recover is taken",
  alarm: "people are told, and it goes on",
};

export const SIGNAL: Record<Schemas["SignalType"], Word> = {
  "rebalance-recommendation": word("rebalance recommended", "warn"),
  "instance-termination": word("termination notice", "bad"),
};

export const SIGNAL_ACTION: Record<Schemas["SignalAction"], string> = {
  none: "nothing",
  monitor: "watch",
  create_replica: "bring up a standby",
  hand_over: "hand over",
  promote: "promote the standby",
  relaunch: "launch again",
};

export const PROBE_STATUS: Record<Schemas["ProbeStatus"], Word> = {
  waiting: word("EC2 is asked", "info"),
  ending: word("being ended", "info"),
  over: word("over", "calm"),
};

export const VERDICT: Record<Schemas["Verdict"], Word> = {
  stay: word("stay", "calm"),
  move: word("move", "good"),
  recommend: word("recommend", "info"),
  await_approval: word("awaits approval", "warn"),
  refused: word("refused", "warn"),
};

export const AIM: Record<Schemas["Aim"], string> = {
  save: "to save",
  escape: "to escape a rising price",
  recover: "back to spot",
};

export const REPLAY_POLICY: Record<Schemas["PolicyCourse"]["policy"], { text: string; means: string }> = {
  "on-demand": { text: "on demand", means: "never on spot" },
  reactive: { text: "reactive", means: "the cheapest pool once, then it stays" },
  "cheaper-5": { text: "cheaper by 5 %", means: "moves whenever a pool is 5 % cheaper" },
  engine: { text: "engine", means: "SpotGuard's rules within this agent's guard-rails" },
  clairvoyant: { text: "clairvoyant", means: "knows every price in advance: nobody can do better" },
};

export const MODE: Record<Schemas["Mode"], string> = { spot: "spot", ondemand: "on demand" };

export const AUTONOMY: Record<Schemas["Autonomy"], string> = {
  observe: "observe: decide and record only",
  recommend: "recommend: and tell people",
  approve: "approve: a person confirms each move",
  auto: "auto: move by itself",
};

export const KILL: Record<Schemas["Health"]["killSwitch"], Word> = {
  none: word("nothing is stopped", "good"),
  voluntary: word("voluntary moves and new standbys are stopped", "warn"),
  all: word("everything is stopped, emergencies too", "bad"),
};

export const ROLE: Record<Schemas["Role"], string> = {
  primary: "primary",
  successor: "successor",
  standby: "standby",
  passive: "passive",
};

/** A standby's place; of one on demand its type and zone too. */
export function standsIn(mode: Schemas["Mode"], pool: string | null): string {
  return mode === "ondemand" && pool !== null ? `${pool} (${MODE.ondemand})` : place(mode, pool);
}

/** "on demand", a pool, or unknown. */
export function place(mode: Schemas["Mode"] | null, pool: string | null): string {
  if (mode === "ondemand") return MODE.ondemand;
  return pool ?? "unknown";
}
