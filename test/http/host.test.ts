// Whose a request is, on real TLS connections: its Host decides, and must be the host that the connection was made for.
import { once } from "node:events";
import { connect } from "node:tls";
import { expect, it, onTestFinished } from "vitest";
import { faultUpstream } from "../faults/upstream.ts";
import { Front, HOST } from "../front.ts";

const OTHER = "other.test";
const ALIAS = "alias.test";
const PATH = "/v2/acme/app/manifests/v1";

const world = async () => {
  const upstream = await faultUpstream();
  upstream.content.seed({ repo: "acme/app", tag: "v1" });
  const front = new Front(upstream.url.origin, { aliases: [ALIAS] }, { [OTHER]: { upstream: upstream.url.origin } });
  await front.start();
  const port = Number(front.running.identity.addresses[0]!.split(":").at(-1));
  /** The status of the answer to what is sent on a connection made for `servername`. */
  const say = async (servername: string, head: string): Promise<number> => {
    const ca = front.running.ca;
    const socket = connect({ host: "127.0.0.1", port, servername, ca, checkServerIdentity: () => undefined });
    onTestFinished(() => void socket.destroy());
    await once(socket, "secureConnect");
    socket.write(head.replaceAll("\n", "\r\n"));
    const [answer] = (await once(socket, "data")) as [Buffer];
    return Number(String(answer).split(" ")[1]);
  };
  return { say, upstream };
};

it.each([
  ["its own", HOST, `GET ${PATH} HTTP/1.1\nHost: ${HOST}\n\n`, 200],
  ["any case, a port and a dot", "Registry.TEST.", `GET ${PATH} HTTP/1.1\nHost: REGISTRY.test.:443\n\n`, 200],
  ["an alias's, which is the same site", ALIAS, `GET ${PATH} HTTP/1.1\nHost: ${HOST}\n\n`, 200],
  ["none, on a connection that says none", "", `GET ${PATH} HTTP/1.1\nHost: ${HOST}\n\n`, 200],
  ["our own", "layover", "GET / HTTP/1.1\nHost: layover\n\n", 200],
  ["our own, by address", "layover", "GET / HTTP/1.1\nHost: 127.0.0.1\n\n", 200],
  ["another site's", OTHER, `GET ${PATH} HTTP/1.1\nHost: ${HOST}\n\n`, 421],
  ["a site's on our own connection", "layover", `GET ${PATH} HTTP/1.1\nHost: ${HOST}\n\n`, 421],
  ["our own on a site's connection", HOST, "GET / HTTP/1.1\nHost: layover\n\n", 421],
  ["an address on a site's connection", HOST, "GET / HTTP/1.1\nHost: 127.0.0.1\n\n", 421],
  ["nobody's", HOST, `GET ${PATH} HTTP/1.1\nHost: evil.example\n\n`, 421],
  ["missing in HTTP/1.1", HOST, `GET ${PATH} HTTP/1.1\n\n`, 400],
  ["missing in HTTP/1.0", HOST, `GET ${PATH} HTTP/1.0\n\n`, 421],
  ["there twice", HOST, `GET ${PATH} HTTP/1.1\nHost: ${HOST}\nHost: ${OTHER}\n\n`, 400],
  ["there twice, the same", HOST, `GET ${PATH} HTTP/1.1\nHost: ${HOST}\nhOsT: ${HOST}\n\n`, 400],
  ["two in one", HOST, `GET ${PATH} HTTP/1.1\nHost: ${HOST}, ${OTHER}\n\n`, 421],
  ["in the target, which decides", HOST, `GET https://${HOST}${PATH} HTTP/1.1\nHost: ${OTHER}\n\n`, 200],
  ["in the target, and it is another's", HOST, `GET https://${OTHER}${PATH} HTTP/1.1\nHost: ${HOST}\n\n`, 421],
  ["in the target, and nobody's", HOST, `GET http://evil.example/ HTTP/1.1\nHost: ${HOST}\n\n`, 421],
  ["in the target, with somebody's password", HOST, `GET https://a:b@${HOST}${PATH} HTTP/1.1\nHost: ${HOST}\n\n`, 421],
])("%s", async (_whose, servername, head, status) => {
  const { say } = await world();
  expect(await say(servername, head)).toBe(status);
});

it("a target with a host in it reaches upstream as a path", async () => {
  const { say, upstream } = await world();
  expect(await say(HOST, `GET https://${HOST}/v2/_catalog?n=1 HTTP/1.1\nHost: ${OTHER}\n\n`)).toBeLessThan(500);
  expect(upstream.log.map(({ path }) => path).filter((path) => path.includes("_catalog"))).toEqual(["/v2/_catalog?n=1"]);
});
