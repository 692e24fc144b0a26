import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Drawn } from "../lib/chart";
import { dayOf, hourOf, localTime } from "../lib/time";

const HEIGHT = 320;
const HALF_HOUR = 1_800;
export const LIGHT = {
  ink: "#16202a",
  line: "#d0d5d9",
  signal: "#b3261e",
  move: "#1c4f9c",
  serving: "#0b7285",
};
const DARK = { ink: "#e4e9ed", line: "#3c444b", signal: "#ff9c94", move: "#8ec1ff", serving: "#66d9e8" };
type Colours = typeof LIGHT;

/** Steps, or straight lines between points; the serving one thick, moves and signals as upright lines. */
export function Chart({ drawn, label, isStepped }: { drawn: Drawn; label: string; isStepped: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme("light");
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    performance.mark("chart-data");
    const colours = scheme === "dark" ? DARK : LIGHT;
    const plot = new uPlot(optionsOf(drawn, colours, element.clientWidth, isStepped), drawn.data, element);
    const measured = () => performance.measure("chart-drawn", "chart-data");
    requestAnimationFrame(measured);
    const fit = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT }));
    fit.observe(element);
    return () => {
      fit.disconnect();
      plot.destroy();
    };
  }, [drawn, scheme, isStepped]);
  return <div ref={box} className="chart" role="img" aria-label={`${label}; told in words below`} />;
}

export function optionsOf(drawn: Drawn, colours: Colours, width: number, isStepped: boolean): uPlot.Options {
  const stepped = isStepped ? uPlot.paths.stepped?.({ align: 1 }) : undefined;
  const isOnePoint = drawn.data[0].length === 1; // no line leads to it
  const axis = {
    stroke: colours.ink,
    grid: { stroke: colours.line, width: 1 },
    ticks: { stroke: colours.line },
  };
  return {
    width,
    height: HEIGHT,
    padding: [null, 32, null, null], // the last time under the axis is not cut off
    ...(isOnePoint && { scales: { x: { range: aroundOf(drawn.data[0][0] ?? 0) } } }),
    series: [
      {
        value: (_plot: uPlot, at: number | null) =>
          at === null ? "–" : localTime(new Date(at * 1000).toISOString()),
      },
      ...drawn.labels.map((label, index) => ({
        label: label.name,
        stroke: label.isServing ? colours.serving : hue(index, drawn.labels.length),
        width: label.isServing ? 3 : 1,
        ...(label.isOnDemand ? { dash: [6, 4] } : {}),
        ...(stepped ? { paths: stepped } : {}),
        points: { show: isOnePoint },
        value: (_plot: uPlot, value: number | null, _series: number, index: number | null) =>
          index === null ? "–" : value === null ? "unknown" : `$${value.toFixed(4)}`,
      })),
    ],
    axes: [
      { ...axis, space: 70, values: timeTicks },
      { ...axis, size: 64, values: (_plot, ticks) => usdTicks(ticks) },
    ],
    hooks: { draw: [(plot) => drawMarks(plot, drawn, colours)] },
  };
}

const aroundOf = (at: number): [number, number] => [at - HALF_HOUR, at + HALF_HOUR];

/** As everywhere on the screen: the viewer's own way to write a time; the day where it begins, and at the left edge. */
const timeTicks = (_plot: uPlot, ticks: number[]) =>
  ticks.map((tick, index) => {
    const day = dayOf(tick);
    return index > 0 && dayOf(ticks[index - 1] ?? tick) === day ? hourOf(tick) : `${hourOf(tick)}\n${day}`;
  });

/** Cents where dollars are drawn, and prices an hour to their last place. */
const usdTicks = (ticks: number[]) => {
  const places = Math.max(...ticks) >= 1 ? 2 : 4;
  return ticks.map((tick) => `$${tick.toFixed(places)}`);
};

const hue = (index: number, count: number) => `hsl(${Math.round((360 * index) / count)} 55% 50%)`;

function drawMarks(plot: uPlot, drawn: Drawn, colours: Colours): void {
  const { ctx, bbox } = plot;
  ctx.save();
  for (const mark of drawn.marks) {
    const x = plot.valToPos(mark.at, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = mark.kind === "signal" ? colours.signal : colours.move;
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}
