import { useNavigate } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, memo, useEffect, useRef, useState } from "react";
import type { Agent } from "../api/queries";
import type { Sorting, SortKey } from "../lib/fleet";
import { AGENT_STATUS, HEALTH, place, SIGNAL } from "../lib/words";
import { Percent, Usd } from "./figures";
import { Tag } from "./Tag";

const WIDE_ROW = 46;
const NARROW_ROW = 184;
const NARROW = "(max-width: 48rem)";

const HEADS: readonly { text: string; by?: SortKey; isNumber?: boolean }[] = [
  { text: "Agent", by: "name" },
  { text: "State", by: "health" },
  { text: "Runs in", by: "place" },
  { text: "$/h", by: "price", isNumber: true },
  { text: "On demand", isNumber: true },
  { text: "Saving", by: "saving", isNumber: true },
  { text: "Signal" },
  { text: "Next, and why" },
];

/** Only the rows in sight exist: ten thousand agents scroll as ten do. Arrows move, Enter opens.
 *
 * The active one is an agent, not a place: a figure that changes the order opens no other. */
export function FleetTable(props: {
  agents: readonly Agent[];
  sorting: Sorting;
  onSort: (sorting: Sorting) => void;
}) {
  const { agents } = props;
  const box = useRef<HTMLDivElement>(null);
  const isNarrow = useNarrow();
  const [active, setActive] = useState<string | null>(null);
  const navigate = useNavigate();
  const rows = useVirtualizer({
    count: agents.length,
    getScrollElement: () => box.current,
    estimateSize: () => (isNarrow ? NARROW_ROW : WIDE_ROW),
    overscan: 12,
    getItemKey: (index) => agents[index]?.id ?? index,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: rows are measured anew when their height changes
  useEffect(() => rows.measure(), [isNarrow]);
  const at = Math.max(
    agents.findIndex((agent) => agent.id === active),
    0,
  );

  const press = (event: KeyboardEvent) => {
    const target = moved(event.key, at, agents.length);
    if (target !== null) {
      event.preventDefault();
      setActive(agents[target]?.id ?? null);
      rows.scrollToIndex(target);
    } else if (event.key === "Enter" && event.target === event.currentTarget) {
      const agent = agents[at];
      if (agent) void navigate({ to: "/agents/$agentId", params: { agentId: agent.id } });
    }
  };

  return (
    <div
      ref={box}
      className="grid"
      role="grid"
      aria-label="Agents"
      aria-rowcount={agents.length + 1}
      aria-activedescendant={agents[at] ? `agent-${agents[at].id}` : undefined}
      tabIndex={0}
      onKeyDown={press}
    >
      <div role="row" className="line heads" tabIndex={-1}>
        {HEADS.map((head) => (
          <Head key={head.text} {...head} sorting={props.sorting} onSort={props.onSort} />
        ))}
      </div>
      <div role="rowgroup" className="rows" style={{ height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map((item) => {
          const agent = agents[item.index];
          return (
            agent && (
              <Line
                key={item.key}
                agent={agent}
                top={item.start}
                height={item.size}
                index={item.index}
                isActive={item.index === at}
                onPick={setActive}
              />
            )
          );
        })}
      </div>
      {agents.length === 0 && <p className="dim">No agent is here, or none passes the filters.</p>}
    </div>
  );
}

function moved(key: string, at: number, count: number): number | null {
  const page = 10;
  const targets: Record<string, number> = {
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    PageDown: at + page,
    PageUp: at - page,
    Home: 0,
    End: count - 1,
  };
  const target = targets[key];
  return target === undefined || count === 0 ? null : Math.max(0, Math.min(count - 1, target));
}

function Head(props: {
  text: string;
  by?: SortKey;
  isNumber?: boolean;
  sorting: Sorting;
  onSort: (sorting: Sorting) => void;
}) {
  const { by, sorting } = props;
  const isMine = by !== undefined && by === sorting.by;
  const way = sorting.falling ? "descending" : "ascending";
  return (
    <span
      role="columnheader"
      className={props.isNumber ? "right" : undefined}
      aria-sort={isMine ? way : undefined}
    >
      {by === undefined ? (
        props.text
      ) : (
        <button
          type="button"
          className="bare"
          onClick={() => props.onSort({ by, falling: isMine ? !sorting.falling : false })}
        >
          {props.text}
          {isMine ? (sorting.falling ? " ↓" : " ↑") : ""}
        </button>
      )}
    </span>
  );
}

const Line = memo(function Line(props: {
  agent: Agent;
  top: number;
  height: number;
  index: number;
  isActive: boolean;
  onPick: (agentId: string) => void;
}) {
  const { agent } = props;
  const navigate = useNavigate();
  const open = () => {
    props.onPick(agent.id);
    void navigate({ to: "/agents/$agentId", params: { agentId: agent.id } });
  };
  const signal = agent.lastSignal;
  const where = place(agent.currentMode, agent.currentPoolId);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the grid answers the keys for all of its rows
    <div
      role="row"
      id={`agent-${agent.id}`}
      className={props.isActive ? "line active" : "line"}
      aria-rowindex={props.index + 2}
      aria-selected={props.isActive}
      tabIndex={-1}
      style={{ transform: `translateY(${props.top}px)`, height: props.height }}
      onClick={open}
    >
      <span role="gridcell" className="name" title={agent.logicalAgentId}>
        {agent.logicalAgentId}
      </span>
      <span role="gridcell">
        <Tag word={AGENT_STATUS[agent.status]} /> <Tag word={HEALTH[agent.health]} />
      </span>
      <span role="gridcell" data-head="Runs in" title={where}>
        {where}
      </span>
      <span role="gridcell" data-head="$/h" className="right">
        <Usd of={agent.priceUsd} />
      </span>
      <span role="gridcell" data-head="On demand" className="right">
        <Usd of={agent.onDemandUsd} />
      </span>
      <span role="gridcell" data-head="Saving" className="right">
        <Percent of={agent.savingPercent} />
      </span>
      <span role="gridcell" data-head="Signal">
        {signal === null ? <span className="dim">none</span> : <Tag word={SIGNAL[signal.signalType]} />}
      </span>
      <span role="gridcell" className="clip" title={`${agent.nextAction} (${agent.why})`}>
        {agent.awaitingDecisionId !== null && <Tag word={{ text: "awaits you", tone: "warn" }} />}{" "}
        {agent.nextAction} <span className="dim">({agent.why})</span>
      </span>
    </div>
  );
});

function useNarrow(): boolean {
  const [isNarrow, setNarrow] = useState(() => window.matchMedia(NARROW).matches);
  useEffect(() => {
    const query = window.matchMedia(NARROW);
    const look = () => setNarrow(query.matches);
    query.addEventListener("change", look);
    return () => query.removeEventListener("change", look);
  }, []);
  return isNarrow;
}
