import type { ReactNode } from "react";
import { Card } from "./Card";
import { Pager, type Pages } from "./Pager";
import { Refused } from "./states";
import { type Column, Table } from "./Table";

export type Listed<T> = { items: readonly T[]; nextCursor?: string | null };
export type Asked<T> = { data: Listed<T> | undefined; error: Error | null };

/** One list of the API, page by page, with filters over the page that is shown. */
export function Listing<T>(props: {
  title: string;
  heading: string;
  label: string;
  filters: ReactNode;
  pages: Pages;
  asked: Asked<T>;
  passes: (row: T) => boolean;
  keyOf: (row: T) => string;
  columns: readonly Column<T>[];
  empty: string;
}) {
  const { data, error } = props.asked;
  return (
    <>
      <title>{`${props.title} · SpotGuard`}</title>
      <h1>{props.title}</h1>
      <search className="row filters">{props.filters}</search>
      <Refused error={error} what={`${props.title} could not be read`} />
      <Card title={props.heading}>
        <Table
          label={props.label}
          rows={(data?.items ?? []).filter(props.passes)}
          keyOf={props.keyOf}
          columns={props.columns}
          empty={data === undefined ? "" : props.empty}
        />
        <Pager pages={props.pages} next={data?.nextCursor ?? null} />
      </Card>
    </>
  );
}
