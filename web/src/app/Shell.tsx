import { Button, useMantineColorScheme } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Outlet, Link as To, useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { type Link, Live } from "../api/live";
import { forget, sessionQuery, signOut } from "../api/session";
import type { Word } from "../lib/words";
import { Refused } from "../parts/states";
import { Tag } from "../parts/Tag";
import { notice } from "./page";

const PAGES = [
  { to: "/", text: "Fleet" },
  { to: "/switches", text: "Switches" },
  { to: "/savings", text: "Savings" },
  { to: "/backtest", text: "Backtest" },
  { to: "/pools", text: "Pools" },
  { to: "/health", text: "Health" },
  { to: "/tokens", text: "Tokens" },
] as const;

const LINK: Record<Link, Word> = {
  connecting: { text: "connecting", tone: "calm" },
  live: { text: "live", tone: "good" },
  polling: { text: "stream lost: polling", tone: "warn" },
  "signed out": { text: "signed out", tone: "bad" },
};

export function Shell() {
  const link = useLive();
  const session = useQuery(sessionQuery);
  const told = notice();
  return (
    <>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <header className="top">
        <To to="/" className="brand">
          SpotGuard
        </To>
        <nav aria-label="Pages">
          {PAGES.map((page) => (
            <To key={page.to} to={page.to} activeOptions={{ exact: page.to === "/" }}>
              {page.text}
            </To>
          ))}
        </nav>
        <div className="who">
          <span role="status" aria-live="polite">
            <Tag word={LINK[link]} />
          </span>
          <span className="dim">{session.data?.name}</span>
          <Scheme />
          <SignOut />
        </div>
      </header>
      {told !== "" && (
        <p className="notice" role="note">
          {told}
        </p>
      )}
      <main id="main" tabIndex={-1}>
        <Outlet />
      </main>
    </>
  );
}

function useLive(): Link {
  const client = useQueryClient();
  const navigate = useNavigate();
  const [link, setLink] = useState<Link>("connecting");
  useEffect(() => {
    const live = new Live(client, (now) => {
      setLink(now);
      if (now === "signed out") {
        forget(client);
        void navigate({ to: "/sign-in" });
      }
    });
    void live.run();
    return () => live.stop();
  }, [client, navigate]);
  return link;
}

function Scheme() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const next = colorScheme === "auto" ? "light" : colorScheme === "light" ? "dark" : "auto";
  return (
    <Button
      size="compact-sm"
      variant="default"
      onClick={() => setColorScheme(next)}
      aria-label={`Colours: ${colorScheme}; change to ${next}`}
    >
      Colours: {colorScheme}
    </Button>
  );
}

function SignOut() {
  const client = useQueryClient();
  const navigate = useNavigate();
  const leaving = useMutation({
    mutationFn: signOut,
    onSuccess: async () => {
      forget(client);
      await navigate({ to: "/sign-in" });
    },
  });
  return (
    <>
      <Button
        size="compact-sm"
        variant="default"
        loading={leaving.isPending}
        onClick={() => leaving.mutate()}
      >
        Sign out
      </Button>
      <Refused error={leaving.error} what="Still signed in" />
    </>
  );
}
