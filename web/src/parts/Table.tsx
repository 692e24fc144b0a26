import type { ReactNode } from "react";

export type Column<T> = { head: string; cell: (row: T) => ReactNode; isNumber?: boolean };

/** A short list. On a narrow screen each row becomes a card that names its values. */
export function Table<T>(props: {
  label: string;
  rows: readonly T[];
  keyOf: (row: T) => string;
  columns: readonly Column<T>[];
  empty: string;
}) {
  if (props.rows.length === 0) return <p className="dim">{props.empty}</p>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard (WCAG 2.1.1)
    <section className="scroll" aria-label={props.label} tabIndex={0}>
      <table className="plain">
        <thead>
          <tr>
            {props.columns.map((column) => (
              <th key={column.head} scope="col" className={column.isNumber ? "right" : undefined}>
                {column.head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {props.rows.map((row) => (
            <tr key={props.keyOf(row)}>
              {props.columns.map((column) => (
                <td
                  key={column.head}
                  data-head={column.head}
                  className={column.isNumber ? "right" : undefined}
                >
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
