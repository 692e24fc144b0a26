// Judges requests by policies with cloud-copilot's iam-simulate; the folder that it is installed in is the first argument.
// stdin: one JSON object a line {policy, action, resource, context, allowed}; stdout: one JSON object.
const { readFileSync } = require("node:fs");
const where = require.resolve("@cloud-copilot/iam-simulate", { paths: [process.argv[2]] });
const { runSimulation } = require(where);

const PRINCIPAL = "111122223333";

function simulation({ policy, action, resource, context }) {
  const Statement = policy.Statement.map((one, number) => ({ ...one, Sid: `S${number}` }));
  const accountId = resource.split(":")[4] || PRINCIPAL;
  const own = accountId.startsWith("1000000") ? accountId : PRINCIPAL; // moto's accounts; all others are strangers'
  return {
    identityPolicies: [{ name: "p", policy: { Version: "2012-10-17", Statement } }],
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    request: {
      principal: `arn:aws:iam::${own}:role/spotguard`,
      action,
      resource: { resource, accountId },
      contextVariables: context,
    },
  };
}

async function main() {
  const told = { asked: 0, agreed: 0, differed: [], not_judged: {} };
  for (const line of readFileSync(0, "utf8").trim().split("\n")) {
    const asked = JSON.parse(line);
    const answer = await runSimulation(simulation(asked), {});
    told.asked += 1;
    if (answer.errors) {
      const why = answer.errors.message;
      told.not_judged[why] = (told.not_judged[why] || 0) + 1;
    } else if ((answer.overallResult === "Allowed") === asked.allowed) {
      told.agreed += 1;
    } else {
      told.differed.push({ action: asked.action, resource: asked.resource, context: asked.context });
    }
  }
  console.log(JSON.stringify(told));
}

main();
