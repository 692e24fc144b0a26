import { Button, PasswordInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { sessionQuery, signIn } from "../api/session";
import { notice } from "../app/page";
import { Refused } from "../parts/states";

export function SignIn() {
  const [token, setToken] = useState("");
  const client = useQueryClient();
  const navigate = useNavigate();
  const entering = useMutation({
    mutationFn: signIn,
    onSuccess: async (session) => {
      setToken("");
      client.setQueryData(sessionQuery.queryKey, session);
      await navigate({ to: "/" });
    },
  });
  return (
    <main className="narrow">
      <title>Sign in · SpotGuard</title>
      <h1>SpotGuard</h1>
      {notice() !== "" && <p className="notice">{notice()}</p>}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          entering.mutate(token.trim());
        }}
      >
        <PasswordInput
          label="The tenant's token"
          description="It is exchanged for a session of this browser and is not kept."
          autoComplete="off"
          autoFocus
          required
          value={token}
          onChange={(event) => setToken(event.currentTarget.value)}
        />
        <Button type="submit" loading={entering.isPending} mt="md">
          Sign in
        </Button>
        <Refused error={entering.error} />
      </form>
    </main>
  );
}
