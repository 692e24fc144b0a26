import { Link } from "@tanstack/react-router";

/** An agent by its name, which leads to its page. */
export function AgentLink({ id, name }: { id: string; name: string }) {
  return (
    <Link to="/agents/$agentId" params={{ agentId: id }}>
      {name}
    </Link>
  );
}
