// Layover itself as a service of systemd, on the machine at hand: a user of its own, which may bind low ports and nothing else, and
// which sees the rest of the machine read-only. Nothing here is for clients, so it is not to be had over HTTP.
import { join } from "node:path";
import type { ClientPlan } from "./clients.ts";
import { file, head, MADE, note, type Step } from "./step.ts";

export interface Service {
  /** One half alone, as `serve --only` runs it. */
  readonly only: "dns" | "front" | undefined;
  /** Absolute, all of these: the runtime, scripts/layover.mjs, and the configuration if there is one. */
  readonly node: string;
  readonly script: string;
  readonly config: string | undefined;
  /** Folders that it writes to, where they are not the service's own. */
  readonly folders: readonly string[];
  /** Whether it listens on a port below 1024. */
  readonly lowPorts: boolean;
  /** What a SIGTERM waits for, in milliseconds. */
  readonly drain: number;
}

const USER = "layover";
const STATE = "/var/lib/layover";
/** Beyond the drain: DNS goes on until the front end has ended, and every log line is to be written. */
const SPARE = 10;

/** Throws Error for a path that no unit can hold. */
export const servicePlan = (service: Service): ClientPlan => {
  const unit = service.only === undefined ? "layover" : `layover-${service.only}`;
  const outside = outsideOf(service);
  const steps: Step[] = [
    head("A user of its own"),
    file(`/etc/sysusers.d/${USER}.conf`, `${MADE}\nu ${USER} - "Layover" ${STATE}\n`),
    head("The unit"),
    file(`/etc/systemd/system/${unit}.service`, unitText(service, outside)),
    { do: "start", unit },
    note(
      `What it keeps is in ${service.config === undefined || outside.length === 0 ? STATE : outside.join(", ")}, and stays after --undo, as the user does.`,
    ),
    ...(outside.length === 0
      ? []
      : [
          note(
            `These must be there, and ${USER}'s: chown -R ${USER}: ${outside.map(shellWord).join(" ")}   (or set data and ca to folders in ${STATE})`,
          ),
        ]),
    ...(service.config === undefined ? [note(`A configuration of yours: ${STATE}/layover.yaml is found there by itself.`)] : []),
    ...hidden(service).map((path) =>
      note(`${path} is in a home, which other users as a rule cannot read: move it, to /opt/layover say.`),
    ),
    note("On a machine with systemd-resolved, port 53 of 127.0.0.53 is taken: listen.dns takes this machine's own address."),
    ...(service.only === undefined ? [] : [note(`The other half: --only ${service.only === "dns" ? "front" : "dns"}`)]),
  ];
  return {
    title: `Layover as a service of systemd${service.only ? `, its ${service.only} half` : ""}`,
    plans: { hijack: steps },
  };
};

const isBelow = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

const outsideOf = ({ config, folders }: Service): string[] =>
  config === undefined ? [] : [...new Set(folders)].filter((folder) => !isBelow(folder, STATE));

const hidden = ({ node, script, config }: Service): string[] =>
  [...new Set([node, script, ...(config === undefined ? [] : [config])])].filter((path) =>
    ["/root", "/home"].some((home) => isBelow(path, home)),
  );

const unitText = (service: Service, outside: readonly string[]): string => {
  const { only, node, script, config, lowPorts, drain } = service;
  const start = [node, "--max-semi-space-size=2", script, "serve"];
  if (config !== undefined) start.push("--config", config);
  if (only !== undefined) start.push("--only", only);
  const inHome = hidden(service).length > 0 || outside.some((path) => ["/root", "/home"].some((home) => isBelow(path, home)));
  return `${MADE}
[Unit]
Description=Layover: every container pull, local${only ? ` (${only})` : ""}
Wants=network-online.target
After=network-online.target
# A farm's DNS is tried again for as long as it takes.
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart=${start.map(execWord).join(" ")}
${only === "front" ? "" : "# New files on the disk, programs and configuration, are taken up while DNS goes on.\nExecReload=/bin/kill -HUP $MAINPID\n"}User=${USER}
Group=${USER}
WorkingDirectory=${STATE}
StateDirectory=layover
StateDirectoryMode=0755
CacheDirectory=layover
CacheDirectoryMode=0700
Environment=XDG_CACHE_HOME=/var/cache/layover NODE_ENV=production
${outside.length === 0 ? "" : `ReadWritePaths=${outside.map(pathWord).join(" ")}\n`}Restart=always
RestartSec=1
# The parent tells its front end, and waits for who still comes and what is under way (${drain / 1_000} s at the most).
KillMode=mixed
TimeoutStopSec=${Math.ceil(drain / 1_000) + SPARE}
# The front end may run out of memory and is started again; DNS goes on.
OOMPolicy=continue
LimitNOFILE=65536
AmbientCapabilities=${lowPorts ? "CAP_NET_BIND_SERVICE" : ""}
CapabilityBoundingSet=${lowPorts ? "CAP_NET_BIND_SERVICE" : ""}
NoNewPrivileges=yes
UMask=0022
ProtectSystem=strict
ProtectHome=${inHome ? "read-only" : "yes"}
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
`;
};

/** As systemd reads a word: specifiers begin with %, and in commands variables with $. */
const pathWord = (path: string): string => {
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(path)) throw new Error(`not a path for a unit: ${JSON.stringify(path)}`);
  const escaped = path.replace(/[\\"]/g, "\\$&").replaceAll("%", "%%");
  return /^[\w./:=+@-]+$/.test(escaped) ? escaped : `"${escaped}"`;
};

const execWord = (word: string): string => pathWord(word.replaceAll("$", "$$$$"));

const shellWord = (word: string): string => (/^[\w./:=+@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** Folders that a configuration makes it write to. */
export const foldersOf = (data: string, ...files: readonly string[]): string[] => [
  data,
  ...files.map((name) => join(name, "..")),
];
