import type { Schemas } from "../api/client";
import type { Agent, AgentDetail } from "../api/queries";

const CONFIG: Schemas["Configuration"] = {
  enabled: true,
  autonomy: "auto",
  autoSwitchEnabled: true,
  manualReplicaEnabled: false,
  autoTerminateEnabled: true,
  terminateWaitSeconds: 1800,
  minSavingsPercent: 5,
  maxSwitchesPerDay: 3,
  maxSwitchesPerWeek: 10,
  minPoolHours: 2,
  riskThreshold: 0.3,
  allowedInstanceTypes: [],
  allowedAzs: [],
  maxHourlyUsd: null,
  restorePointHours: null,
  restorePointsKept: 1,
  fenceAfterMinutes: null,
  restoreDrillDays: 0,
  minuteValueUsd: null,
  quarantineGroup: null,
  traffic: null,
  configVersion: 1,
};

export function agentOf(change: Partial<Agent> = {}): Agent {
  return {
    id: "a1",
    logicalAgentId: "web",
    status: "online",
    health: "healthy",
    role: "primary",
    epoch: 1,
    instanceId: "i-00000000000000001",
    instanceType: "t3.medium",
    region: "ap-south-1",
    az: "ap-south-1a",
    currentMode: "spot",
    currentPoolId: "t3.medium.ap-south-1a",
    priceUsd: "0.013400",
    onDemandUsd: "0.044800",
    savingPercent: 70.09,
    replicaCount: 0,
    instanceCount: 1,
    currentReplicaId: null,
    lastHeartbeatAt: "2026-03-01T12:00:00.000000Z",
    lastInterruptionSignal: null,
    lastSignal: null,
    lastDrill: null,
    restoreCertificate: null,
    nextAction: "stay in t3.medium.ap-south-1a (spot)",
    why: "nothing is cheaper by 5 %",
    awaitingDecisionId: null,
    hostname: "ip-10-0-0-1",
    privateIp: "10.0.0.1",
    publicIp: null,
    agentVersion: "0.1.0",
    installedAt: null,
    createdAt: "2026-03-01T12:00:00.000000Z",
    deletedAt: null,
    config: CONFIG,
    ...change,
  };
}

export function detailOf(change: Partial<AgentDetail> = {}): AgentDetail {
  return {
    ...agentOf(),
    standbyCost: {
      primaryUsd: "0.013400",
      standbyUsd: "0.014100",
      storageUsd: null,
      totalUsd: null,
      onDemandUsd: "0.044800",
      dearerThanOnDemand: null,
    },
    lostState: null,
    ...change,
  };
}
