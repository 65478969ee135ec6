// kaniko: a pod of its own, with the CA as a file in the folder that its image looks into. Nothing is done on the machine at hand.
import { createHash } from "node:crypto";
import type { Client } from "./clients.ts";
import { hasHub, indentedCa, mirrorHost, references, type Setup } from "./setup.ts";
import { note, type Step, show } from "./step.ts";

const configMap = (setup: Setup): Step =>
  show(
    "The CA certificate, in the namespace of the builds",
    `apiVersion: v1
kind: ConfigMap
metadata:
  name: layover-ca
  labels: { layover/ca: "${createHash("sha256").update(setup.fingerprints.join()).digest("hex").slice(0, 16)}" }
data:
  layover.crt: |
${indentedCa(setup, 4)}
`,
  );

/** The file alone is mounted, so that the roots that the image brings along stay. */
const pod = (setup: Setup, network: string, args: readonly string[]): string => `apiVersion: v1
kind: Pod
metadata: { name: kaniko }
spec:
${network}  containers:
    - name: kaniko
      image: gcr.io/kaniko-project/executor
      args:
        - --dockerfile=Dockerfile
        - --context=dir:///workspace
        - --destination=${references(setup).at(-1)?.name ?? "registry.example"}/acme/app:1
${args.map((arg) => `        - ${arg}\n`).join("")}      volumeMounts:
        - { name: layover-ca, mountPath: /kaniko/ssl/certs/layover.crt, subPath: layover.crt }
  volumes:
    - { name: layover-ca, configMap: { name: layover-ca } }
`;

const ARCHIVED = note("kaniko is archived since 2025: its forks take the same flags.");

const hijack = (setup: Setup): Step[] => [
  configMap(setup),
  show("The pod", pod(setup, `  dnsPolicy: None\n  dnsConfig: { nameservers: ["${setup.dns.host}"] }\n`, [])),
  note(
    "Names of the cluster's own are not found so: give Layover's `resolvers` a rule for cluster.local, or take --door mirror.",
  ),
  ...(setup.dns.port === 53
    ? []
    : [note(`Pods ask port 53 alone, and Layover's DNS is on ${setup.dns.port}: give it that port (listen.dns).`)]),
  ARCHIVED,
];

const mirror = (setup: Setup): Step[] => {
  const at = mirrorHost(setup);
  const others = references(setup).filter(({ name }) => name !== "docker.io");
  const args = [
    ...(hasHub(setup) ? [`--registry-mirror=${at}`] : []),
    ...(others.length === 0 ? [] : [`"--registry-map=${others.map(({ name }) => `${name}=${at}/${name}`).join(";")}"`]),
  ];
  const aliases = `  hostAliases: [{ ip: "${setup.answer[0]!}", hostnames: ["${setup.mirror!.name}"] }]\n`;
  return [
    configMap(setup),
    show("The pod (hostAliases are needed only where the cluster's DNS does not know Layover's name)", pod(setup, aliases, args)),
    note(
      "Pushes go to the registries themselves. Without --skip-default-registry-fallback so do pulls that Layover has no answer for.",
    ),
    ARCHIVED,
  ];
};

export const kaniko: Client = { title: "kaniko", doors: { hijack, mirror } };
