// `layover doctor` on machines that are set up wrong: a client is a network namespace of its own, with its own files and its own rules.
import { mkdir, mkdtemp, readFile, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Authority } from "./authority.ts";
import { builder, Engine, type Kind } from "./engine.ts";
import { Internet, lookup } from "./internet.ts";
import { ADDRESS, Layover, SCRIPT } from "./layover.ts";
import { must, Part, run } from "./part.ts";
import { until } from "./until.ts";
import { Upstream } from "./upstream.ts";

const SITE = { name: "ghcr.io", address: "10.77.0.7" };
const HUB = { name: "registry-1.docker.io", address: "10.77.0.8" };
/** A name server that knows the real addresses. */
const INTERNET = "10.77.0.6";
/** Asks Layover whatever it is asked. */
const LOOPING = "10.77.0.10";
/** Others than Layover's own machine: served here, and none of this machine's addresses. */
const OTHERS = [SITE.address, HUB.address, INTERNET, LOOPING];
const TRUST_CA = new URL("../../scripts/trust-ca", import.meta.url).pathname;
const INSIDE = ["ip", "netns", "exec", "client"];
const NAMES = [HUB.name, "index.docker.io", SITE.name];

interface Finding {
  readonly check: string;
  readonly status: string;
  readonly text: string;
  readonly mend?: string;
}

let dir: string;
let authority: Authority;
let internet: Internet;
let layover: Layover;
const upstreams: Upstream[] = [];
const settings = {
  listen: { dns: [`${ADDRESS}:53`], https: [`${ADDRESS}:443`], http: [`${ADDRESS}:80`], admin: [] },
  resolvers: [INTERNET],
  sites: Object.fromEntries(
    ["registry.gitlab.com", "quay.io", "registry.k8s.io", "gcr.io", "mcr.microsoft.com", "public.ecr.aws"].map((name) => [
      name,
      false,
    ]),
  ),
};

beforeAll(async () => {
  dir = await mkdtemp(`${process.env["LAB_WORLD"]}/`);
  for (const address of OTHERS) {
    await run(["ip", "address", "delete", `${address}/32`, "dev", "lo"]);
    await must(["ip", "route", "replace", "local", address, "dev", "lo"]);
  }
  await must(["ip", "netns", "add", "client"]);
  await must(["ip", "link", "add", "out", "type", "veth", "peer", "name", "in", "netns", "client"]);
  await must(["ip", "address", "add", "10.78.0.1/24", "dev", "out"]);
  await must(["ip", "link", "set", "out", "up"]);
  for (const line of ["link set lo up", "address add 10.78.0.2/24 dev in", "link set in up", "route add default via 10.78.0.1"])
    await must([...INSIDE, "ip", ...line.split(" ")]);
  authority = await Authority.make(dir);
  internet = new Internet(
    new Map([
      [SITE.name, SITE.address],
      [HUB.name, HUB.address],
      ["index.docker.io", HUB.address],
    ]),
    `${dir}/dnsmasq.log`,
    INTERNET,
  );
  for (const { name, address } of [SITE, HUB]) upstreams.push(await Upstream.make(authority, name, address, `${dir}/${name}`));
  await Promise.all([internet.start(), ...upstreams.map((each) => each.start())]);
  layover = new Layover(`${dir}/layover`, authority.certificate);
  await layover.start({}, settings);
});
afterAll(async () => {
  await layover?.stop();
  await Promise.all([internet?.stop(), ...upstreams.map((each) => each.stop())]);
  await run(["ip", "netns", "delete", "client"]);
  for (const address of OTHERS) {
    await run(["ip", "route", "delete", "local", address, "dev", "lo"]);
    await run(["ip", "address", "replace", `${address}/32`, "dev", "lo"]);
  }
  await rm(dir, { recursive: true, force: true });
});

const undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** A rule of the client's firewall, for one test. */
const rule = async (...args: string[]) => {
  await must([...INSIDE, "iptables", "-A", ...args]);
  undo.push(() => must([...INSIDE, "iptables", "-D", ...args]));
};

let count = 0;
/** What a client is set up with: its name servers, and the folders that hold the CA. */
const client = async (dns = ADDRESS, hosts: readonly string[] = [...NAMES, "docker.io"]): Promise<string[]> => {
  const place = `${dir}/client${++count}`;
  await mkdir(place);
  const ca = { certificate: layover.certificate, hosts };
  return [...INSIDE, ...(await builder(place, { dns, ca, publicCa: authority.certificate }))];
};

/** A name server that asks Layover, for one test. */
const forwarder = async (address: string, enter: readonly string[] = [], program = "dnsmasq") => {
  const argv = [program, "-k", "--user=root", "--pid-file=", "--no-resolv", "--no-hosts", "--conf-file=/dev/null"];
  const here = ["--bind-interfaces", `--listen-address=${address}`, `--server=${ADDRESS}`, "--log-facility=-"];
  const answers = async () => (await run([...enter, "dig", "+time=1", "+tries=1", `@${address}`, SITE.name])).code === 0;
  const part = await Part.start("forwarder", [...enter, ...argv, ...here], `${dir}/forwarder.log`, answers);
  undo.push(() => part.stop());
  return part;
};

const seen = (findings: readonly Finding[]) => findings.filter(({ status }) => status !== "ok");

const doctor = async (enter: readonly string[], ...args: string[]): Promise<{ code: number | null; findings: Finding[] }> => {
  const argv = [...enter, process.execPath, SCRIPT, "doctor", "--json", "--strict", ...args];
  const { code, out, err } = await run(argv, { cwd: dir });
  try {
    return { code, findings: JSON.parse(out) as Finding[] };
  } catch {
    throw new Error(`${argv.join(" ")}: ${code}\n${err}${out}`);
  }
};
const fromClient = async (enter: readonly string[]) => doctor(enter, "--from", "client", "--server", `http://${ADDRESS}`);

describe("on a client", () => {
  test("that is set up right it finds nothing", async () => {
    const { code, findings } = await fromClient(await client());
    expect(seen(findings)).toEqual([]);
    expect(code).toBe(0);
    expect(findings.map(({ check }) => check)).toEqual(["layover", "clock", "system", "dns", "tls", "trust"]);
  });

  test("that finds Layover by its own name it needs to be told nothing", async () => {
    const { code, findings } = await doctor(await client(), "--from", "client");
    expect(seen(findings)).toEqual([]);
    expect(code).toBe(0);
    expect(findings[0]?.text).toBe("http://layover is ready");
  });

  test("whose way to TCP port 53 is blocked it says so", async () => {
    await rule("OUTPUT", "-p", "tcp", "--dport", "53", "-j", "DROP");
    const { code, findings } = await fromClient(await client());
    expect(code).toBe(1);
    expect(seen(findings)).toEqual([
      {
        check: "dns",
        status: "fail",
        text: `DNS over TCP at ${ADDRESS} (/etc/resolv.conf): no answer within 3 s; long answers need it`,
        mend: expect.stringContaining("TCP port 53"),
      },
    ]);
  });

  test.each([
    ["DROP", "no answer within 3 s"],
    ["REJECT", "nobody listens there"],
  ])("that cannot reach the answer (%s) it says so", async (verdict, why) => {
    await rule("OUTPUT", "-p", "tcp", "-d", ADDRESS, "--dport", "443", "-j", verdict);
    const { code, findings } = await fromClient(await client());
    expect(code).toBe(1);
    expect(seen(findings)).toEqual([
      {
        check: "door",
        status: "fail",
        text: `names lead to what cannot be reached from here: ${ADDRESS}:443: ${why} (${NAMES.join(", ")})`,
        mend: expect.stringContaining("LAYOVER_ANSWER"),
      },
    ]);
  });

  test("with a second name server it names that one", async () => {
    const { code, findings } = await fromClient(await client(`${ADDRESS}\nnameserver ${INTERNET}`));
    expect(code).toBe(1);
    expect(seen(findings)).toEqual([
      {
        check: "dns",
        status: "fail",
        text: expect.stringMatching(
          `^a second name server beside Layover: ${INTERNET} \\(/etc/resolv.conf\\) answers ${HUB.name} \\(${HUB.address}\\)`,
        ),
        mend: expect.stringContaining(`curl -fsS http://${ADDRESS}/setup/docker | sudo sh`),
      },
    ]);
  });

  test("that asks somebody else it shows whose certificate comes of it", async () => {
    const { code, findings } = await fromClient(await client(INTERNET));
    expect(code).toBe(1);
    expect(seen(findings)).toMatchObject([
      {
        check: "dns",
        text: `this machine does not ask Layover: ${INTERNET} (/etc/resolv.conf) answers ${HUB.name} (${HUB.address})`,
      },
      { check: "tls", text: expect.stringContaining("is from CN=Public CA of the lab, not from the CA of") },
      {
        check: "tls",
        text: expect.stringContaining("ghcr.io: the certificate at 10.77.0.7:443 is from CN=Public CA of the lab"),
      },
    ]);
  });

  test("that lacks the CA for a name it says which, and how to get it", async () => {
    const { code, findings } = await fromClient(await client(ADDRESS, [HUB.name, "index.docker.io"]));
    expect(code).toBe(1);
    expect(seen(findings)).toMatchObject([{ check: "trust", text: "nothing here trusts Layover's CA for ghcr.io" }]);
  });

  test("whose DNS is blocked it says so", async () => {
    await rule("INPUT", "-p", "udp", "--sport", "53", "-j", "DROP");
    const { code, findings } = await fromClient(await client());
    expect(code).toBe(1);
    expect(seen(findings)).toMatchObject([
      { check: "dns", text: `${ADDRESS} (/etc/resolv.conf) does not answer: no answer within 3 s` },
    ]);
  });

  test("behind systemd-resolved's stub it looks at whom that asks", async () => {
    await forwarder("127.0.0.53", INSIDE);
    await mkdir("/run/systemd/resolve", { recursive: true });
    undo.push(() => rm("/run/systemd", { recursive: true }));
    await writeFile("/run/systemd/resolve/resolv.conf", `nameserver ${ADDRESS}\n`);
    const enter = await client("127.0.0.53");
    expect(seen((await fromClient(enter)).findings)).toEqual([]);
    await writeFile("/run/systemd/resolve/resolv.conf", `nameserver ${ADDRESS}\nnameserver ${INTERNET}\n`);
    expect(seen((await fromClient(enter)).findings)).toMatchObject([
      {
        check: "dns",
        text: expect.stringContaining(`a second name server beside Layover: ${INTERNET} (systemd-resolved asks it)`),
      },
    ]);
  });

  test.each<[Kind, readonly string[], string]>([
    ["classic", NAMES, "Docker's classic image store reads only the system's certificate store for Docker Hub"],
    ["containerd", NAMES, "Docker's image store looks for the CA of Docker Hub as /etc/docker/certs.d/docker.io/ca.crt"],
    ["containerd", [...NAMES, "docker.io"], ""],
  ])("with a real Docker (%s) it asks it what it needs for Docker Hub: %j", async (kind, hosts, text) => {
    const place = `${dir}/e${++count}`;
    await mkdir(place);
    const network = { dns: ADDRESS, publicCa: authority.certificate };
    const engine = await Engine.start(kind, kind, place, network);
    undo.push(() => engine.stop());
    await symlink(`${place}/sock`, "/run/docker.sock");
    undo.push(() => unlink("/run/docker.sock"));
    const { findings } = await fromClient(await client(ADDRESS, hosts));
    const expected = text === "" ? [] : [{ check: "docker", status: "fail", text: expect.stringContaining(text) }];
    expect(seen(findings)).toMatchObject(expected);
    expect(findings.some(({ check }) => check === "docker")).toBe(true);
  });

  test("with Docker's classic store, scripts/trust-ca and a restart mend it, and its undo breaks it again", async () => {
    const place = `${dir}/e${++count}`;
    await mkdir(place);
    // Debian's real commands, on a copy of its store
    const store = `cp -a /etc/ssl/certs ${place}/certs && mount --bind ${place}/certs /etc/ssl/certs && mount -t tmpfs store /usr/local/share/ca-certificates`;
    const look = `${process.execPath} ${SCRIPT} doctor --json --from client --server http://${ADDRESS}`;
    const steps = [`${TRUST_CA} ${layover.certificate}`, look, `${TRUST_CA} --undo`, look].map(
      (step, i) => `${step} > ${place}/${i}`,
    );
    const engine = await Engine.start("classic", "classic", place, { dns: ADDRESS, publicCa: authority.certificate });
    undo.push(() => engine.stop());
    await symlink(`${place}/sock`, "/run/docker.sock");
    undo.push(() => unlink("/run/docker.sock"));
    const enter = await client(ADDRESS, []);
    await must([...enter, "sh", "-c", `${store} && ${steps[0]} && { ${steps[1]}; ${steps[2]} && { ${steps[3]}; true; }; }`]);
    const [mended, broken] = await Promise.all(
      [1, 3].map(async (step) => seen(JSON.parse(await readFile(`${place}/${step}`, "utf8")) as Finding[])),
    );
    expect(mended).toEqual([]);
    expect(broken).toMatchObject([
      { check: "trust", text: `nothing here trusts Layover's CA for ${NAMES.join(", ")}` },
      { check: "docker", text: expect.stringContaining("classic image store reads only the system's") },
    ]);
  });

  test("of a Layover whose front end hangs it says that names lead to the registries themselves", async () => {
    const front = await layover.front();
    process.kill(front!, "SIGSTOP");
    // its DNS trusts it again only when it has been well for a while
    const leads = async () => (await lookup(ADDRESS, SITE.name))[0]?.address === ADDRESS;
    undo.push(() => until("names to lead to Layover again", 40_000, leads));
    const { code, findings } = await fromClient(await client());
    process.kill(front!, "SIGCONT");
    expect(code).toBe(1);
    expect(seen(findings)[0]).toMatchObject({
      check: "layover",
      text: expect.stringContaining("does not answer as Layover does"),
    });
  });
});

/** The script that a machine without Node is given, by this machine's own programs or by busybox and curl alone. */
describe.each([
  ["dash and what Debian has", ["sh", "-c", `curl -fsS http://${ADDRESS}/doctor | sh`]],
  ["busybox and curl", ["env", "PATH=/run/few", "sh", "-c", `curl -fsS http://${ADDRESS}/doctor | sh`]],
  // what docker:dind has
  ["busybox and openssl", ["env", "PATH=/run/few", "sh", "-c", `wget -q -O - http://${ADDRESS}/doctor | sh`]],
])("a client without Node, by %s,", (tools, argv) => {
  beforeAll(async () => {
    await mkdir("/run/few", { recursive: true });
    await must(["busybox", "--install", "-s", "/run/few"]);
    const tool = tools.endsWith("openssl") ? "openssl" : "curl";
    await must(["ln", "-sf", `/usr/bin/${tool}`, `/run/few/${tool}`]);
  });
  afterAll(() => rm("/run/few", { recursive: true, force: true }));
  const script = async (enter: readonly string[]) => {
    const { code, out, err } = await run([...enter, ...argv], { cwd: dir });
    if (err !== "") throw new Error(err);
    return { code, wrong: out.split("\n").filter((line) => /^(fail|warn)/.test(line)), out };
  };

  test("that is set up right is told that nothing is wrong", async () => {
    const { code, wrong, out } = await script(await client());
    expect(wrong).toEqual([]);
    expect(out).toMatch(new RegExp(`^ok +tls +certificates of Layover's CA are shown for ${NAMES.join(" ")}$`, "m"));
    expect(out).toMatch(/^ok +dns +10\.77\.0\.3 leads to Layover, over UDP and TCP$/m);
    expect(out).toMatch(/^0 wrong, 0 to look at$/m);
    expect(code).toBe(0);
  });

  test.each<[string, () => Promise<string[]>, RegExp]>([
    ["asks somebody else", () => client(INTERNET), /dns +this machine does not ask Layover: 10\.77\.0\.6\(10\.77\.0\.8\)/],
    [
      "has a second name server",
      () => client(`${ADDRESS}\nnameserver ${INTERNET}`),
      /dns +a second name server beside Layover: 10\.77\.0\.6/,
    ],
    ["has no TCP port 53", () => behindRule("53"), /dns +no DNS over TCP at 10\.77\.0\.3;/],
    ["cannot reach the answer", () => behindRule("443"), /door +ghcr\.io leads to 10\.77\.0\.3, which cannot be reached/],
    [
      "lacks the CA for a name",
      () => client(ADDRESS, [HUB.name, "index.docker.io"]),
      /trust +nothing here trusts .* for ghcr\.io$/,
    ],
    [
      "has the CA in a file that is never read",
      () => misnamed("ca.pem"),
      /trust +\/etc\/docker\/certs\.d\/ghcr\.io\/ca\.pem is never read/,
    ],
  ])("that %s is told so", async (_, make, text) => {
    const { code, wrong } = await script(await make());
    expect(wrong).toContainEqual(expect.stringMatching(text));
    expect(code).toBe(1);
  });

  test("is told of other registries' certificates, and of leaks where it can see them", async () => {
    const { wrong } = await script(await client(INTERNET));
    expect(wrong).toContainEqual(expect.stringMatching(/tls +ghcr\.io: not a certificate of Layover's present CA/));
    expect(wrong.some((line) => line.includes("Public CA of the lab"))).toBe(tools !== "busybox and curl");
  });

  const behindRule = async (port: string) => {
    await rule("OUTPUT", "-p", "tcp", "-d", ADDRESS, "--dport", port, "-j", "REJECT");
    return client();
  };
  const misnamed = async (name: string) => {
    const enter = await client();
    const folder = `${dir}/client${count}/docker/certs.d/ghcr.io`;
    await rename(`${folder}/ca.crt`, `${folder}/${name}`);
    return enter;
  };
});

describe("on Layover's own machine", () => {
  const own = async (dns: string) => (await client(dns)).slice(INSIDE.length);
  const config = () => ["--config", `${dir}/layover/layover.yaml`];

  test("it finds nothing, though that machine asks Layover itself", async () => {
    const enter = await own(ADDRESS);
    const { code, findings } = await doctor(enter, ...config());
    expect(seen(findings)).toEqual([]);
    expect(code).toBe(0);
    expect(seen((await fromClient(enter)).findings)).toEqual([]);
  });

  test("where systemd-resolved holds the port, and the disk is full, it says so", async () => {
    await mkdir("/run/full");
    await must(["mount", "-t", "tmpfs", "-o", "size=1m", "full", "/run/full"]);
    undo.push(() => must(["umount", "/run/full"]));
    await run(["dd", "if=/dev/zero", "of=/run/full/all", "bs=64k"]);
    await must(["cp", "/usr/sbin/dnsmasq", "/run/systemd-resolve"]); // its name is what tells a process
    undo.push(() => rm("/run/systemd-resolve"));
    const stub = await forwarder("127.0.0.53", [], "/run/systemd-resolve");
    const enter = ["env", "LAYOVER_LISTEN_DNS=127.0.0.53:53", "LAYOVER_DATA=/run/full", ...(await own(ADDRESS))];
    const { code, findings } = await doctor(enter, ...config());
    expect(code).toBe(1);
    expect(seen(findings)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          check: "ports",
          text: `127.0.0.53:53/tcp (listen.dns) is held by systemd-resolve (pid ${stub.pid}), not by Layover`,
          mend: expect.stringContaining("DNSStubListener=no"),
        }),
        expect.objectContaining({ check: "disk", status: "fail", text: expect.stringContaining("nothing new can be kept") }),
      ]),
    );
  });

  test("whose resolvers ask Layover it says that it is a loop", async () => {
    await forwarder(LOOPING);
    const looping = ["env", `LAYOVER_RESOLVERS=${LOOPING}`, ...(await own(ADDRESS))];
    const { code, findings } = await doctor(looping, ...config());
    expect(code).toBe(1);
    const loops = seen(findings).map(({ check, text }) => `${check}: ${text}`);
    expect(loops).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^resolvers: .*answers registry-1\.docker\.io with Layover's own address: it asks Layover/),
        expect.stringMatching(/^upstream: ghcr\.io: 10\.77\.0\.3 is Layover itself: a loop/),
      ]),
    );
  });

  test("with the registries away it says what can be pulled", async () => {
    await Promise.all(upstreams.map((each) => each.stop()));
    undo.push(() => Promise.all(upstreams.map((each) => each.start())));
    const { code, findings } = await doctor(await own(ADDRESS), ...config());
    expect(code).toBe(1);
    expect(seen(findings).map(({ text }) => text)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^ghcr\.io: nobody listens there; only what is held can be pulled/)]),
    );
  });
});
